"""JSON, as it is read wherever it is given."""

import json
from typing import Any, Final, NoReturn

_NEAR: Final = 20


def parse_json(text: str) -> Any:  # noqa: ANN401 - whatever it says.
    """Return what JSON says; whole numbers are exact, however large.

    Raises:
        ValueError: It is none, or cannot be read; the text tells where.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        near = text[max(0, error.pos - _NEAR) : error.pos + _NEAR]
        raise ValueError(
            f"is no JSON: {error.msg}, line {error.lineno}, column {error.colno}: {near!r}"
        ) from None
    except RecursionError:
        raise ValueError("is no JSON that can be read: it is nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"is no JSON: {name} is not in it")


# Made once: messages of templates are read with it, call by call.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
