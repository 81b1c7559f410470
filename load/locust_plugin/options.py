"""Options of ghz as attributes of a class of locust."""

import logging
from functools import cache
from typing import Any, Final

from load.config.model import Config
from load.config.options import OPTIONS
from load.config.resolving import resolve
from load.config.values import from_file
from load.errors import ConfigError

_logger = logging.getLogger(__name__)
_BY_FIELD: Final = {option.field: option for option in OPTIONS}


@cache
def config_of(
    owner: type, fields: tuple[str, ...], *, path: str, host: str | None = None
) -> Config:
    """Return the options that a class has as attributes, over those of a configuration.

    What of the configuration has no effect is told to the log, once.

    Args:
        owner: The class; an attribute that is None says nothing.
        fields: The names of its attributes, which are those of `Config`. Each has what a
            configuration of ghz in a file would have.
        path: Of the configuration; empty: there is none.
        host: The server, if it isn't that of the configuration.

    Raises:
        ConfigError: An option cannot be used; the text names it.
    """
    said: dict[str, Any] = {"host": host} if host else {}
    for field in fields:
        value = getattr(owner, field)
        if value is not None:
            option = _BY_FIELD[field]
            try:
                said[field] = from_file(option, value)
            except ConfigError as error:
                raise ConfigError(f"{field}: {error}") from None
    if "connections" in said:
        # How many users there are, locust says: there may be enough for them.
        said["concurrency"] = max(said["connections"], 1)
    resolved = resolve(path, said, names_call=False)
    for warning in resolved.warnings:
        _logger.warning("%s: %s", owner.__name__, warning)
    return resolved.config
