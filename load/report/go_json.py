"""JSON as Go writes it: the keys of maps sorted, no needless digits, fit to stand in HTML."""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from load.report.go_text import scientific

_ESCAPED: Final = str.maketrans(
    {
        "<": r"\u003c",
        ">": r"\u003e",
        "&": r"\u0026",
        "\u2028": r"\u2028",
        "\u2029": r"\u2029",
    }
)


def encode(  # noqa: PLR0911 - one for each type that JSON has.
    value: object, *, indent: bool = False, depth: int = 0
) -> str:
    """Return a value as JSON: on one line, or laid out by two spaces from some depth on."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _number(value)
        case str():
            return string(value)
        case msgspec.Struct():
            return encode_object(members(value), indent=indent, depth=depth)
        case Mapping():
            return encode_object(sorted(value.items()), indent=indent, depth=depth)
        case Sequence():
            parts = [encode(each, indent=indent, depth=depth + 1) for each in value]
            return _enclosed("[]", parts, indent=indent, depth=depth)
        case _:
            raise TypeError(f"JSON has no {type(value).__name__}")


def encode_object(
    pairs: Iterable[tuple[str, object]], *, indent: bool = False, depth: int = 0
) -> str:
    """Return an object with these keys, in their order."""
    colon = ": " if indent else ":"
    parts = [
        string(key) + colon + encode(value, indent=indent, depth=depth + 1) for key, value in pairs
    ]
    return _enclosed("{}", parts, indent=indent, depth=depth)


def members(struct: msgspec.Struct) -> Iterable[tuple[str, object]]:
    """Return the keys and values of a struct, in its order."""
    return (
        (key, getattr(struct, name))
        for name, key in zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    )


def string(text: str) -> str:
    """Return a string in quotes. What UTF-8 cannot say is replaced."""
    written = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(written, ensure_ascii=False).translate(_ESCAPED)


def _number(value: float) -> str:
    exact = Decimal(repr(value)).normalize()
    if exact == 0 or -6 <= exact.adjusted() < 21:  # noqa: PLR2004 - fixed in Go.
        return f"{exact:f}"
    return scientific(exact, digits=1)


def _enclosed(brackets: str, parts: Sequence[str], *, indent: bool, depth: int) -> str:
    opening, closing = brackets[0], brackets[1]
    if not parts:
        return brackets
    if not indent:
        return opening + ",".join(parts) + closing
    margin = "\n" + "  " * (depth + 1)
    return opening + margin + ("," + margin).join(parts) + margin[:-2] + closing
