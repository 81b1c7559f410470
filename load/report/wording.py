"""Numbers, times and foreign texts, in words that a person reads."""

import math
import unicodedata
from collections.abc import Sequence
from typing import Final

_UNSHOWN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of Unicode: controls, halves of surrogate pairs, ends of lines and paragraphs."""
_STEERING: Final = frozenset(
    "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""What turns the direction of the text around it."""
_NO_CHARACTERS: Final = frozenset("\ufffe\uffff")
"""What no XML may hold, beside controls."""

_UNITS: Final = (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000), ("ns", 1))
_MINUTE: Final = 60
_HOUR: Final = 3_600
_LONGEST_IN_SECONDS: Final = 120
_LONGEST_IN_MINUTES: Final = 7_200
_DIGITS: Final = 3
_MOST_DIGITS: Final = 7


def visible(text: str) -> str:
    r"""Return the text with what cannot be shown, or would disturb what is around it, as `\x1b`.

    Newlines and tabs stay. What comes back can be encoded, and stand in any XML.
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t":
        return character
    if (
        unicodedata.category(character) in _UNSHOWN
        or character in _STEERING
        or character in _NO_CHARACTERS
    ):
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - a byte.
    return character


def shortened(text: str, limit: int) -> str:
    """Return at most so many characters of it, with a sign that there were more."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def number(value: float) -> str:
    """Return whole numbers in full and others in three digits, with thousands apart: 12,345."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.{_decimals(value)}f}"


def percent(share: float) -> str:
    """Return a share of 1 in per cent; none and all are said of none and all alone."""
    value = share * 100
    if value in (0, 100):
        return f"{value:.0f} %"
    text = f"{value:.{min(_decimals(value), 3)}f}"
    if float(text) == 0:
        return "< 0.001 %"
    if float(text) == 100:  # noqa: PLR2004 - per cent.
        return "> 99.9 %"
    return f"{text} %"


def duration(nanoseconds: float, digits: int = _DIGITS) -> str:
    """Return a time in so many digits, such as 2.31 ms; from 2 min on in full seconds."""
    seconds = nanoseconds / 1e9
    if not math.isfinite(seconds):
        return str(nanoseconds)
    if abs(seconds) >= _LONGEST_IN_SECONDS:
        whole = round(seconds)
        if abs(whole) < _LONGEST_IN_MINUTES:
            return f"{whole // _MINUTE} min {whole % _MINUTE} s"
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    if nanoseconds == 0:
        return "0 ms"
    # Rounded first: 999.96 µs are 1.00 ms.
    rounded = float(f"{nanoseconds:.{digits - 1}e}")
    unit, size = next((name, size) for name, size in _UNITS if abs(rounded) >= size or size == 1)
    value = rounded / size
    return f"{value:.{_decimals(value, digits) if size > 1 else 0}f} {unit}"


def durations(nanoseconds: Sequence[float]) -> Sequence[str]:
    """Return different times in as many digits as tell them apart, at least three."""
    for digits in range(_DIGITS, _MOST_DIGITS):
        told = [duration(value, digits) for value in nanoseconds]
        if len(set(told)) == len(set(nanoseconds)):
            return told
    return [duration(value, _MOST_DIGITS) for value in nanoseconds]


def _decimals(value: float, digits: int = _DIGITS) -> int:
    """Return how many decimals make so many digits of it."""
    if value == 0:
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))
