"""The value of an option, as a flag or a file has it.

What is not what the option takes raises a `ConfigError` that does not name the option: whoever
read it knows whether it was a flag or a key.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from load.config.durations import parse_duration
from load.config.options import Kind, Option
from load.config.sizes import parse_size
from load.errors import ConfigError

STANDARD_INPUT: Final = "@"
"""As data: it is read from there."""


def from_flag(option: Option, text: str) -> Any:  # noqa: ANN401 - each option has its type.
    """Return what the text of a flag says, as `Config` has it.

    Raises:
        ConfigError: It is not what the option takes.
    """
    match option.kind:
        case Kind.COUNT | Kind.NUMBER:
            return _whole(option, _parse_whole(text))
        case Kind.LIST:
            return tuple(text.split(",")) if text.strip() else ()
        case Kind.MAP:
            return _map(_parse_flag(text))
        case Kind.DATA:
            return _data(text if text == STANDARD_INPUT else _parse_flag(text))
        case _:
            return _textual(option, text)


def from_file(option: Option, value: object) -> Any:  # noqa: ANN401
    """Return what the value of a file says, as `Config` has it.

    Raises:
        ConfigError: It is not what the option takes.
    """
    if option.kind in _READERS:
        return _READERS[option.kind](value)
    if option.kind in (Kind.COUNT, Kind.NUMBER):
        return _whole(option, value)
    if option.kind is Kind.DURATION and _is_number(value):
        # 0 needs no unit; for the others, the message is that of a text.
        return parse_duration(str(value))
    return _textual(option, value)


def parse_json(text: str) -> Any:  # noqa: ANN401
    """Return what JSON says; whole numbers keep all their digits.

    Raises:
        ConfigError: It is no JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"this is no JSON: {error.msg}, line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise ConfigError("this is no JSON that can be read: it is nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ConfigError(f"this is no JSON: {name} is not in it")


def _parse_flag(text: str) -> Any:  # noqa: ANN401
    return parse_json(text) if text.strip() else None


def _parse_whole(text: str) -> object:
    try:
        # As Go reads it, in base 16 too; of leading zeros Go thinks base 8, so they are refused.
        return int(text, 0)
    except ValueError:
        return text


def _whole(option: Option, value: object) -> int:
    wanted = "a whole number"
    if option.kind is Kind.COUNT:
        wanted += " that is not negative"
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse(wanted, value)
    if option.kind is Kind.COUNT and value < 0:
        _refuse(wanted, value)
    return value


def _textual(option: Option, value: object) -> str | int:
    if not isinstance(value, str):
        _refuse("a text", value)
    match option.kind:
        case Kind.DURATION:
            return parse_duration(value)
        case Kind.SIZE:
            # Kept as it is: reports tell it so.
            parse_size(value or "0")
            return value
        case Kind.WORD:
            return _word(option, value)
        case Kind.PATH:
            return value.strip()
        case _:
            return value


def _word(option: Option, text: str) -> str:
    word = text.strip().lower()
    if not word:
        default: str = option.default
        return default
    if word not in option.words:
        *first, last = option.words
        raise ConfigError(f"must be {', '.join(first)} or {last}, and is {text!r}")
    return word


def _list(value: object) -> Sequence[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        _refuse("an array of texts", value)
    return tuple(value)


def _map(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        _refuse("an object of texts", value)
    for name, each in value.items():
        if not isinstance(each, str):
            raise ConfigError(f"must be an object of texts, and its {name!r} is {_said(each)}")
    return value


def _data(value: object) -> Any:  # noqa: ANN401
    wanted = "an object, or an array of objects"
    if value is None or value == STANDARD_INPUT or isinstance(value, dict):
        return value
    if not isinstance(value, list):
        _refuse(wanted, value)
    for each in value:
        if not isinstance(each, dict):
            raise ConfigError(f"must be {wanted}, and in it is {_said(each)}")
    return value


def _switch(value: object) -> bool:
    return value if isinstance(value, bool) else _refuse("true or false", value)


_READERS: Final[Mapping[Kind, Callable[[object], Any]]] = {
    Kind.SWITCH: _switch,
    Kind.LIST: _list,
    Kind.MAP: _map,
    Kind.DATA: _data,
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refuse(wanted: str, value: object) -> NoReturn:
    raise ConfigError(f"must be {wanted}, and is {_said(value)}")


_LONGEST = 40


def _said(value: object) -> str:
    if isinstance(value, str):
        return f"the text {value if len(value) <= _LONGEST else value[:_LONGEST] + '…'!r}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    return "an array" if isinstance(value, list) else "null" if value is None else str(value)
