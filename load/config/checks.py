"""Whether options go together. Source: `NewConfig` in `runner/options.go` of ghz."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from load.config.durations import format_duration
from load.config.model import Config
from load.config.options import FORMATS, OPTIONS, Kind
from load.config.pacing import NO_LIMIT, call_limit, rate_of, time_limit, workers_of
from load.config.values import STANDARD_INPUT
from load.errors import ConfigError
from load.jobs import Ramp, Shape

_DURATIONS: Final = [option for option in OPTIONS if option.kind is Kind.DURATION]
_OF_TLS: Final = ("cacert", "cert", "key", "cname", "skipTLS")


def check(config: Config) -> None:
    """Refuse what cannot be run.

    Raises:
        ConfigError: Options that do not go together; the text names them.
    """
    for option in _DURATIONS:
        value = getattr(config, option.field)
        if value < 0:
            raise ConfigError(f"{option.key}: must not be negative: {format_duration(value)}")
    _check_amount(config)
    _check_connection(config)
    _check_ramp("load", rate_of(config), is_timed=bool(time_limit(config)))
    _check_ramp("concurrency", workers_of(config), is_timed=bool(time_limit(config)))
    if config.stream_dynamic_messages and (config.binary or config.binary_file):
        raise ConfigError("stream-dynamic-messages: binary data has no templates to make it from")


def check_call(config: Config) -> None:
    """Refuse what does not say what is called, and where.

    Raises:
        ConfigError: It does not; the text names what is missing.
    """
    if not config.call.strip():
        raise ConfigError("call: say which method, as package.Service/Method")
    if not config.host.strip():
        raise ConfigError("host: say which server, as host:port")


def warnings_of(config: Config) -> Iterator[str]:
    """Yield, in a line each, what somebody might expect and does not get."""
    if config.max_duration:
        if config.total != NO_LIMIT:
            yield (
                f"max-duration: the run ends after {config.total:,} calls (total), if they are made"
                f" within {format_duration(config.max_duration)}; ghz goes on until that is over"
            )
        if config.duration:
            yield "duration: has no effect: max-duration goes first"
    if config.insecure:
        unused = [key for key, value in zip(_OF_TLS, _tls(config), strict=True) if value]
        if unused:
            yield f"{', '.join(unused)}: no effect: insecure is without TLS"
    if config.lb_strategy and not config.host.startswith("dns:///"):
        yield "lb-strategy: no effect unless the host is dns:///name:port"
    if config.rps and config.load_schedule != Shape.CONST.value:
        yield f"rps: has no effect: load-schedule is {config.load_schedule}"
    yield from _warnings_of_files(config)


def _warnings_of_files(config: Config) -> Iterator[str]:
    if config.data_file and config.data not in (None, STANDARD_INPUT):
        yield "data: has no effect: data-file goes first"
    if config.metadata_file and config.metadata:
        yield "metadata: has no effect: metadata-file goes first"
    form = PurePath(config.output).suffix.removeprefix(".")
    if form in FORMATS and config.format == Config().format:
        yield f"format: {config.output} will be a {config.format}; for {form}, say so"


def _tls(config: Config) -> tuple[object, ...]:
    return config.cacert, config.cert, config.key, config.cname, config.skip_tls


def _check_connection(config: Config) -> None:
    if bool(config.cert) != bool(config.key):
        given, missing = ("cert", "key") if config.cert else ("key", "cert")
        raise ConfigError(f"{given}: goes with {missing}, which is missing")
    if config.connections > config.concurrency:
        raise ConfigError(
            f"connections: must be at most the concurrency,"
            f" and there are {config.connections} for {config.concurrency}"
        )


def _check_amount(config: Config) -> None:
    if config.concurrency < 1:
        raise ConfigError("concurrency: must be at least 1")
    total = call_limit(config)
    if total is None:
        return
    if total < 1:
        raise ConfigError("total: must be at least 1; with duration instead, there is no limit")
    if config.skip_first > total:
        raise ConfigError(f"skipFirst: must be at most the total, which is {total:,}")


def _check_ramp(name: str, ramp: Ramp, *, is_timed: bool) -> None:
    if ramp.shape is Shape.CONST:
        return
    if ramp.start == ramp.end:
        raise ConfigError(f"{name}-end: must not be {name}-start, which is {ramp.start:g}")
    if not ramp.step:
        raise ConfigError(f"{name}-step: must not be 0")
    if not ramp.step_duration:
        raise ConfigError(f"{name}-step-duration: must not be 0")
    if ramp.max_duration:
        return
    falls = ramp.step < 0
    if ramp.end and falls != (ramp.end < ramp.start):
        raise ConfigError(
            f"{name}-step: {ramp.step:g} never gets from {ramp.start:g} to {ramp.end:g}"
        )
    if falls and not ramp.end and not is_timed:
        raise ConfigError(
            f"{name}-end: is needed when {name}-step is negative: nothing would be left to end it"
        )
