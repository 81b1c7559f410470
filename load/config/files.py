"""Configuration files: JSON, TOML and YAML."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from load.config.model import Config
from load.config.options import FILE_DEFAULTS, OPTIONS, Option
from load.config.values import from_file, parse_json
from load.config.yaml_files import load_yaml
from load.errors import ConfigError

_BY_KEY: Final[Mapping[str, Option]] = {option.key: option for option in OPTIONS}
_BY_FOLDED_KEY: Final[Mapping[str, Option]] = {option.key.lower(): option for option in OPTIONS}
_BY_SHORT: Final[Mapping[str, Option]] = {option.short: option for option in OPTIONS}
_FLAGS_ALONE: Final = frozenset(
    {
        "threshold",
        "thresholds",
        "against",
        "runs",
        "baseline",
        "max-regression",
        "calibrate",
        "processes",
        "scenario",
        "rows",
        "warm-up",
    }
)
"""What somebody might expect in a file, and must not be ignored."""
_YAML: Final = ("yaml", "yml")
_FORMATS: Final = ("json", "toml", *_YAML)


@dataclass(frozen=True, slots=True)
class Read:
    """What a file says."""

    config: Config
    """With the defaults of files, where it doesn't say."""
    warnings: tuple[str, ...]
    """What in it has no effect, in a line each."""
    said: frozenset[str] = frozenset()
    """The fields of `Config` that it says."""


def read_config(path: str) -> Read:
    """Return what a configuration file says; nothing that it names is opened.

    JSON and TOML do not care for the case of a key, YAML does, as with ghz.

    Raises:
        ConfigError: It cannot be read, or a key has a value that it cannot have.
    """
    form, document = read_document(path)
    values: dict[str, Any] = {}
    warnings = []
    for key, value in document.items():
        name = str(key)
        option = _BY_KEY.get(name) if form in _YAML else _BY_FOLDED_KEY.get(name.lower())
        if name in _FLAGS_ALONE:
            raise ConfigError(f"{path}: {name}: say it by its flag, or in a scenario")
        if option is None:
            warnings.append(f"{path}: the key {name!r} is unknown, and ignored{_hint(name)}")
        elif value is not None:
            try:
                values[option.field] = from_file(option, plain(value))
            except ConfigError as error:
                raise ConfigError(f"{path}: {option.key}: {error}") from None
    return Read(Config(**{**FILE_DEFAULTS, **values}), tuple(warnings), frozenset(values))


def read_document(path: str, named: str = "config") -> tuple[str, dict[str, Any]]:
    """Return the form of a file, by the ending of its name, and the object that it says.

    Args:
        path: Of the file.
        named: What names it, such as a flag.

    Raises:
        ConfigError: It cannot be read, or says something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{named}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{named}: {path} is not in UTF-8") from None
    form = Path(path).suffix.lower().removeprefix(".")
    if form not in _FORMATS:
        raise ConfigError(f"{named}: {path} does not end with .json, .toml, .yaml or .yml")
    try:
        document = _parsed(form, text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: must be an object of options")
    return form, document


def _parsed(form: str, text: str) -> Any:  # noqa: ANN401 - whatever it says.
    if form == "json":
        return parse_json(text)
    if form in _YAML:
        return load_yaml(text, is_textual=_is_textual)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is no TOML: {error}") from None


def _is_textual(key: str) -> bool:
    return key in _BY_KEY and _BY_KEY[key].kind.textual


def plain(value: object) -> object:
    """Return a value of the types that JSON has; dates and times are texts.

    Raises:
        ConfigError: There is something in it that no message has.
    """
    match value:
        case dict():
            return {_name(key): plain(each) for key, each in value.items()}
        case list():
            return [plain(each) for each in value]
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case None | str() | bool() | int() | float():
            return value
        case _:
            raise ConfigError(f"{type(value).__name__} is no type that a message has")


def _name(key: object) -> str:
    if not isinstance(key, str):
        raise ConfigError(f"the key {key} must be a text: put it in quotes")
    return key


def _hint(key: str) -> str:
    if key in _BY_SHORT:
        return f"; did you mean {_BY_SHORT[key].key!r}?"
    near = difflib.get_close_matches(key.lower(), _BY_FOLDED_KEY, n=1)
    return f"; did you mean {_BY_FOLDED_KEY[near[0]].key!r}?" if near else ""
