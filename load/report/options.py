"""The options of a run, as reports tell of them.

Source: `Options` in `runner/reporter.go` of ghz, and its history for the names of older reports.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

import msgspec

from load.config.model import Config
from load.config.pacing import NO_LIMIT, call_limit, time_limit

_SECOND: Final = 1_000_000_000


class Options(
    msgspec.Struct, frozen=True, kw_only=True, rename=lambda name: name.replace("_", "-")
):
    """The options, in the order that they are reported in. Durations are nanoseconds."""

    call: str = ""
    host: str = ""
    proto: str = ""
    protoset: str = ""
    import_paths: Sequence[str] = ()
    enable_compression: bool = False

    cacert: str = ""
    cert: str = ""
    key: str = ""
    cname: str = ""
    skip_tls: bool = msgspec.field(default=False, name="skipTLS")
    insecure: bool = False
    authority: str = ""

    rps: int = 0
    load_schedule: str = "const"
    load_start: int = 0
    load_end: int = 0
    load_step: int = 0
    load_step_duration: int = 0
    load_max_duration: int = 0

    concurrency: int = 0
    concurrency_schedule: str = "const"
    concurrency_start: int = 0
    concurrency_end: int = 0
    concurrency_step: int = 0
    concurrency_step_duration: int = 0
    concurrency_max_duration: int = 0

    total: int = 0
    asynchronous: bool = msgspec.field(default=False, name="async")

    connections: int = 0
    duration: int = 0
    timeout: int = 0
    dial_timeout: int = 0
    keepalive: int = 0

    data: Any = None
    binary: bool = False
    metadata: Mapping[str, str] | None = None

    cpus: int = msgspec.field(default=0, name="CPUs")
    name: str = ""

    skip_first: int = msgspec.field(default=0, name="skipFirst")
    count_errors: bool = False


_KEYS: Final[Sequence[str]] = Options.__struct_encode_fields__
_ALWAYS: Final = frozenset(
    key
    for key in _KEYS
    if key.startswith(("load-", "concurrency-")) or key in ("insecure", "binary", "CPUs")
)
_NOT_EVEN_EMPTY: Final = ("data", "metadata")
"""They are left out when there are not even empty ones."""

_OLDER: Final = {
    "n": "total",
    "c": "concurrency",
    "z": "duration",
    "qps": "rps",
    "dialTimeout": "dial-timeout",
    "keepAlice": "keepalive",
}
"""What options were called in reports before ghz 0.40."""


def options_of(
    config: Config,
    *,
    cpus: int,
    data: Any = None,  # noqa: ANN401 - whatever JSON can say.
    metadata: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the options of a run as its report has them.

    Args:
        config: What was asked for.
        cpus: How many cores the run may use.
        data: What is sent, as given, wherever it came from; None: nothing that is JSON.
        metadata: What is sent with it, as given.
    """
    alike = {
        name: getattr(config, name)
        for name in Options.__struct_fields__
        if name in Config.__struct_fields__
    }
    limit = call_limit(config)
    told = alike | {
        "import_paths": _import_paths(config),
        "load_step_duration": _step_duration(config.load_schedule, config.load_step_duration),
        "concurrency_step_duration": _step_duration(
            config.concurrency_schedule, config.concurrency_step_duration
        ),
        "total": NO_LIMIT if limit is None else limit,
        "duration": time_limit(config),
        "dial_timeout": config.connect_timeout,
        "binary": config.binary or bool(config.binary_file),
        "data": data,
        "metadata": metadata,
        "cpus": cpus,
    }
    return reported(Options(**told))


def reported(options: Options) -> dict[str, Any]:
    """Return options by their keys, without those that reports leave out as nothing is set."""
    pairs = zip(_KEYS, msgspec.structs.astuple(options), strict=True)
    return {key: value for key, value in pairs if _is_told(key, value)}


def _is_told(key: str, value: object) -> bool:
    if key in _NOT_EVEN_EMPTY:
        return value is not None
    return key in _ALWAYS or bool(value)


def _import_paths(config: Config) -> Sequence[str]:
    if not config.proto:
        return ()
    folder = str(PurePath(config.proto).parent)
    return [*([folder] if folder != "." else []), ".", *config.import_paths]


def _step_duration(schedule: str, duration: int) -> int:
    return _SECOND if schedule == "line" else duration


def of_report(options: Mapping[str, Any]) -> Options:
    """Return the options of a report by name; what it doesn't tell of has its default.

    Raises:
        msgspec.ValidationError: An option is not of the type that it has in reports.
    """
    return msgspec.convert(options, Options)


def with_current_names(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by the names that they have today."""
    return {_OLDER.get(key, key): value for key, value in options.items()}


def in_order(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return options in the order of reports; those that reports do not know come last."""
    yield from ((key, options[key]) for key in _KEYS if key in options)
    yield from ((key, options[key]) for key in options if key not in _KEYS)
