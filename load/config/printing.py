"""A configuration as a file says it."""

from typing import Any

import msgspec

from load.config.durations import format_duration
from load.config.model import Config
from load.config.options import OPTIONS, Kind, Option
from load.config.pacing import NO_LIMIT


def to_file(config: Config) -> dict[str, Any]:
    """Return a configuration by its keys in a file, of the types that JSON has.

    Everything that ghz knows is there, except data, metadata, tags and paths that are not set:
    read as a file it comes to the same configuration. Only a total that nobody has set becomes the
    usual one, as in ghz, which goes by `max-duration` alone.
    """
    if config.total == NO_LIMIT:
        config = msgspec.structs.replace(config, total=Config().total)
    return {
        option.key: _value(option, getattr(config, option.field))
        for option in OPTIONS
        if not _is_left_out(option, getattr(config, option.field))
    }


def _value(option: Option, value: object) -> object:
    if option.kind is Kind.DURATION and isinstance(value, int):
        return format_duration(value)
    return list(value) if isinstance(value, tuple) else value


def _is_left_out(option: Option, value: object) -> bool:
    if option.kind in (Kind.DATA, Kind.MAP, Kind.LIST):
        return value is None or value == ()
    return not option.in_ghz and value == option.default
