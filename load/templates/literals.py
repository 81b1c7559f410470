"""Go's literals: strings, characters and numbers.

Source: https://go.dev/ref/spec, and the package strconv.
"""

import re
from dataclasses import dataclass
from typing import Final

from load.templates.faults import Fault

MAX_INT: Final = 2**63 - 1
MIN_INT: Final = -(2**63)

_ESCAPE: Final = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"])|x(?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-7]{3})"
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<wrong>.?))",
    re.DOTALL,
)
_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"',
}  # fmt: skip


def to_bytes(text: str) -> bytes:
    """Return the text as Go holds it: UTF-8, but any bytes where a string was cut in a letter."""
    return text.encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """Return the text that `to_bytes` makes these bytes of."""
    return data.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Number:
    """A number literal: what it is depends on where it stands."""

    value: int | float
    """What it is where nothing else is asked for."""

    @property
    def as_int(self) -> int | None:
        """It as an integer; None: it is none."""
        if isinstance(self.value, int):
            return self.value
        whole = self.value.is_integer() and MIN_INT <= self.value <= MAX_INT
        return int(self.value) if whole else None


def number(text: str) -> Number:
    """Return the number that a literal is.

    Raises:
        Fault: It is none, or one that 64 bits do not hold.
    """
    value: int | float
    if text.endswith("i") and not text.startswith(("0x", "0X")):
        raise Fault(f"{text}: complex numbers are not supported")
    hexadecimal = text.lstrip("+-")[:2] in ("0x", "0X")
    try:
        if hexadecimal and ("p" in text.lower() or "." in text):
            value = float.fromhex(text.replace("_", ""))
        elif not hexadecimal and re.search(r"[.eE]", text):
            value = float(text)
        else:
            value = integer(text)
    except (ValueError, OverflowError):
        raise Fault(f"{text} is no number") from None
    if isinstance(value, int) and not MIN_INT <= value <= MAX_INT:
        raise Fault(f"{text} is larger than an integer of 64 bits")
    if value in (float("inf"), float("-inf")):
        raise Fault(f"{text} is larger than a float of 64 bits")
    return Number(value)


def integer(text: str) -> int:
    """Return the integer that a literal in any base is.

    Raises:
        ValueError: It is none.
    """
    if not text.isascii() or text != text.strip():
        raise ValueError(text)
    # A leading 0 alone makes it octal, which it does not in Python.
    octal = re.fullmatch(r"([+-]?)0_?([0-7][0-7_]*)", text)
    return int(f"{octal[1]}0o{octal[2]}" if octal else text, 0)


def character(quoted: str) -> Number:
    """Return the code point of a character in single quotes.

    Raises:
        Fault: It isn't exactly one.
    """
    inner = quoted[1:-1]
    text = inner if inner == '"' else _unescaped(inner, forbidden='"')
    if len(text) != 1:
        raise Fault(f"{quoted} is not one character")
    code = ord(text)
    escaped = 0xDC80 <= code <= 0xDCFF  # noqa: PLR2004 - A byte, which stands for itself here.
    return Number(code - 0xDC00 if escaped else code)


def string(quoted: str) -> str:
    """Return the text of a literal in double quotes or in backquotes.

    Raises:
        Fault: An escape in it is unknown.
    """
    if quoted[0] == "`":
        return quoted[1:-1].replace("\r", "")
    inner = quoted[1:-1]
    if "\\" not in inner:
        return inner
    # Bytes may make up a letter together.
    return from_bytes(to_bytes(_unescaped(inner, forbidden="'")))


def _unescaped(text: str, *, forbidden: str) -> str:
    def replacement(match: re.Match[str]) -> str:
        if (simple := match["simple"]) and simple != forbidden:
            return _SIMPLE[simple]
        if match["byte"] or match["octal"]:
            value = int(match["byte"], 16) if match["byte"] else int(match["octal"], 8)
            if value <= 0xFF:  # noqa: PLR2004 - A byte.
                return from_bytes(bytes([value]))
        elif match["short"] or match["long"]:
            code = int(match["short"] or match["long"], 16)
            if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - Unicode.
                return chr(code)
        raise Fault(f"{match[0]} is no escape in a string")

    return _ESCAPE.sub(replacement, text)
