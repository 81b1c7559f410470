"""What the command line and a file come to, together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from load.config.checks import check, check_call, warnings_of
from load.config.files import Read, read_config
from load.config.model import Config
from load.config.pacing import NO_LIMIT

_ALTERNATIVES: Final = (
    ("proto", "protoset", "stubs"),
    ("data", "data_file", "binary", "binary_file"),
    ("metadata", "metadata_file"),
    ("duration", "max_duration"),
)
"""Options of which one is enough: a flag that says one of them unsays those of the file."""
_DEFAULTS: Final[Mapping[str, Any]] = {
    each.name: each.default for each in msgspec.structs.fields(Config)
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is to be done."""

    config: Config
    warnings: Sequence[str]
    """In a line each."""


def resolve(path: str, flags: Mapping[str, Any], *, names_call: bool = True) -> Resolved:
    """Return what a file and flags come to: flags win.

    Args:
        path: Of the file; empty: there is none.
        flags: Those that somebody has set, by the field of `Config`.
        names_call: Whether they say what is called; else something else does.

    Raises:
        ConfigError: The file cannot be read, or options do not go together.
    """
    read = read_config(path) if path else Read(Config(), ())
    config = msgspec.structs.replace(read.config, **{**_unsaid(flags), **flags})
    # As with ghz, no connections are the usual number of them.
    config = msgspec.structs.replace(config, connections=config.connections or 1)
    if config.max_duration and "total" not in {*flags, *read.said}:
        config = msgspec.structs.replace(config, total=NO_LIMIT)
    check(config)
    if names_call:
        check_call(config)
    return Resolved(config, (*read.warnings, *warnings_of(config)))


def _unsaid(flags: Mapping[str, Any]) -> dict[str, Any]:
    return {
        field: _DEFAULTS[field]
        for fields in _ALTERNATIVES
        if any(field in flags for field in fields)
        for field in fields
    }
