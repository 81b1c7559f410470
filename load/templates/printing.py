"""How Go prints values: alone, one beside the other, and by a format.

Source: the packages fmt and strconv of Go. Where fmt prints a mistake, such as `%!d(string=x)`, a
Fault is raised.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Final

from load.templates.faults import Fault
from load.templates.instants import Instant
from load.templates.literals import to_bytes
from load.templates.values import Value, in_order, type_of

NO_VALUE: Final = "<no value>"
"""What an action puts out for nil."""


def printed(value: Value) -> str:
    """Return what an action puts out for a value.

    Raises:
        Fault: It is nothing that Go has.
    """
    return NO_VALUE if value is None else plain(value)


def plain(value: Value) -> str:
    """Return what `%v` puts out for a value.

    Raises:
        Fault: It is nothing that Go has.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return _PLAIN.format(value)


def side_by_side(values: Sequence[Value]) -> str:
    """Return what `print` puts out: a space between two values neither of which is a string."""
    texts: list[str] = []
    last: Value = ""
    for value in values:
        if texts and not isinstance(last, str) and not isinstance(value, str):
            texts.append(" ")
        texts.append(plain(value))
        last = value
    return "".join(texts)


def formatted(format_: str, values: Sequence[Value]) -> str:
    """Return what `printf` puts out.

    Raises:
        Fault: The format doesn't fit the values.
    """
    texts: list[str] = []
    left = list(values)

    def next_value() -> Value:
        if not left:
            raise Fault(f"there is no value for every verb of the format {quoted(format_)}")
        return left.pop(0)

    for part in _parts(format_):
        if isinstance(part, str):
            texts.append(part)
        else:
            texts.append(part.resolved(next_value).format(next_value()))
    if left:
        raise Fault(f"the format {quoted(format_)} has no verb for {quoted(plain(left[0]))}")
    return "".join(texts)


def quoted(text: str, *, ascii_only: bool = False) -> str:
    """Return the text as a string literal of Go."""
    return f'"{_escaped(text, quote=chr(34), ascii_only=ascii_only)}"'


_SIMPLE: Final = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
    "\\": r"\\",
}  # fmt: skip


def _escaped(text: str, *, quote: str, ascii_only: bool) -> str:
    return "".join(_escape(character, quote, ascii_only=ascii_only) for character in text)


def _escape(character: str, quote: str, *, ascii_only: bool) -> str:
    code = ord(character)
    if character == quote:
        return f"\\{quote}"
    if character in _SIMPLE:
        return _SIMPLE[character]
    if character.isprintable() and (character.isascii() or not ascii_only):
        return character
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - A byte that is no letter.
        return f"\\x{code - 0xDC00:02x}"
    if character.isascii():
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - 16 bits.


def shortest(value: float, *, small: int = -4, large: int = 6) -> str:
    """Return the shortest digits that mean this finite float.

    An exponent below `small`, or from `large` on, is written as one.
    """
    mantissa, _, exponent = f"{Decimal(repr(abs(value))).normalize():e}".partition("e")
    text = mantissa.replace(".", "")
    point = int(exponent) + 1
    minus = "-" if math.copysign(1, value) < 0 else ""
    if not small <= point - 1 < large:
        fraction = f".{text[1:]}" if text[1:] else ""
        return f"{minus}{text[0]}{fraction}e{'-' if point < 1 else '+'}{abs(point - 1):02}"
    if point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    whole, fraction = text[:point].ljust(point, "0"), text[point:]
    return f"{minus}{whole}.{fraction}" if fraction else minus + whole


@dataclass(frozen=True, slots=True)
class _Verb:
    """One verb of a format, with its flags."""

    verb: str
    flags: str = ""
    width: int | None = None
    precision: int | None = None
    star_width: bool = False
    star_precision: bool = False

    def resolved(self, next_value: Callable[[], Value]) -> "_Verb":
        """Return it with the width and precision that are among the values."""
        verb = self
        if self.star_width:
            width = _star(next_value())
            flags = self.flags + ("-" if width < 0 else "")
            verb = replace(verb, width=abs(width), flags=flags)
        if self.star_precision:
            precision = _star(next_value())
            verb = replace(verb, precision=precision if precision >= 0 else None)
        return verb

    def format(self, value: Value) -> str:
        """Return the value as the verb says."""
        if isinstance(value, list | tuple):
            return f"[{' '.join(map(self.format, value))}]"
        if isinstance(value, Mapping):
            entries = (f"{self.format(key)}:{self.format(each)}" for key, each in in_order(value))
            return f"map[{' '.join(entries)}]"
        return self._padded(self._scalar(value), number=type_of(value) in ("an integer", "a float"))

    def _scalar(self, value: Value) -> str:
        verb = self.verb
        if isinstance(value, Instant) and verb in "vsq":
            value = str(value)
        if value is None and verb == "v":
            return "<nil>"
        if isinstance(value, bool) and verb in "vt":
            return "true" if value else "false"
        if isinstance(value, int) and not isinstance(value, bool):
            return self._integer(value)
        if isinstance(value, float) and verb in "veEfFgG":
            return self._float(value)
        if isinstance(value, str) and verb in "vsqxX":
            return self._string(value)
        raise self._misfit(value)

    def _misfit(self, value: Value) -> Fault:
        if type_of(value) == type(value).__name__:
            return Fault(f"a value of the type {type_of(value)} cannot be put out")
        return Fault(f"%{self.verb} cannot format {type_of(value)}")

    def _integer(self, value: int) -> str:
        verb = self.verb
        if verb in "cqU":
            return self._rune(value)
        if verb not in _BASES:
            raise self._misfit(value)
        spec, prefix = _BASES[verb]
        digits = format(abs(value), spec)
        if self.precision is not None:
            digits = "" if not self.precision and not value else digits.rjust(self.precision, "0")
        if "#" in self.flags and not (verb == "o" and digits.startswith("0")):
            digits = prefix + digits
        elif verb == "O":
            digits = f"0o{digits}"
        return self._signed(digits, negative=value < 0)

    def _rune(self, value: int) -> str:
        valid = 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF  # noqa: PLR2004 - Unicode.
        character = chr(value) if valid else "\ufffd"
        if self.verb == "c":
            return character
        if self.verb == "q":
            return f"'{_escape(character, chr(39), ascii_only='+' in self.flags)}'"
        if "#" in self.flags:
            raise Fault("%#U is not supported")
        return f"U+{value:04X}"

    def _float(self, value: float) -> str:
        if "#" in self.flags:
            raise Fault(f"%#{self.verb} is not supported for a float")
        magnitude = abs(value)
        negative = math.copysign(1, value) < 0
        if not math.isfinite(value):
            text = "NaN" if math.isnan(value) else "Inf"
            always = "+" if text == "Inf" and self.verb == "v" and not negative else ""
            return always + self._signed(text, negative=negative and text == "Inf")
        if self.verb in "vgG" and self.precision is None:
            text = shortest(magnitude)
        else:
            precision = 6 if self.precision is None else self.precision
            text = format(magnitude, f".{precision}{'g' if self.verb == 'v' else self.verb}")
        return self._signed(text.upper() if self.verb in "EG" else text, negative=negative)

    def _signed(self, digits: str, *, negative: bool) -> str:
        if negative:
            return f"-{digits}"
        # To %v, a + means something else, of which nothing is seen here.
        plus = "+" in self.flags and self.verb != "v"
        return f"{'+' if plus else ' ' if ' ' in self.flags else ''}{digits}"

    def _string(self, value: str) -> str:
        if self.verb in "xX":
            if " " in self.flags or "#" in self.flags:
                raise Fault(f"%{self.flags}{self.verb} is not supported for a string")
            data = to_bytes(value)[: self.precision].hex()
            return data if self.verb == "x" else data.upper()
        text = value[: self.precision]
        if self.verb != "q":
            return text
        if "#" in self.flags and "`" not in text and (text.isprintable() or text == "\t"):
            return f"`{text}`"
        return quoted(text, ascii_only="+" in self.flags)

    def _padded(self, text: str, *, number: bool) -> str:
        if self.width is None or len(text) >= self.width:
            return text
        if "-" in self.flags:
            return text.ljust(self.width)
        finite = number and text[-1:].isalnum() and not text.endswith(("Inf", "NaN"))
        digits = self.verb not in "cqU" and (self.precision is None or self.verb not in _BASES)
        if "0" in self.flags and finite and digits:
            sign = text[:1] if text[:1] in "+- " else ""
            return sign + text[len(sign) :].rjust(self.width - len(sign), "0")
        return text.rjust(self.width)


_PLAIN: Final = _Verb("v")
_BASES: Final = {
    "v": ("d", ""), "d": ("d", ""), "b": ("b", "0b"), "o": ("o", "0"), "O": ("o", "0o0"),
    "x": ("x", "0x"), "X": ("X", "0X"),
}  # fmt: skip
_FORMAT: Final = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\*|[0-9]+)?"
    r"(?:(?P<dot>\.)(?P<precision>\*|[0-9]*))?(?P<verb>.?)",
    re.DOTALL,
)
_VERBS: Final = "vtsqxXdboOcUeEfFgG"
_WIDEST: Final = 1_000_000


def _star(value: Value) -> int:
    if type(value) is not int or abs(value) > _WIDEST:
        raise Fault(f"the value for * must be a number of characters, not {quoted(plain(value))}")
    return value


@lru_cache(maxsize=256)
def _parts(format_: str) -> tuple[str | _Verb, ...]:
    found: list[str | _Verb] = []
    at = 0
    for match in _FORMAT.finditer(format_):
        found.append(format_[at : match.start()])
        at = match.end()
        found.append("%" if match["verb"] == "%" else _verb(match))
    found.append(format_[at:])
    return tuple(part for part in found if part != "")


def _verb(match: re.Match[str]) -> _Verb:
    verb, flags = match["verb"], match["flags"]
    if not verb or verb not in _VERBS or (verb == "v" and "#" in flags):
        raise Fault(f"{match[0]} in a format is not supported")
    width, precision = match["width"], match["precision"]
    sizes = [int(size) for size in (width, precision) if size and size != "*"]
    if any(size > _WIDEST for size in sizes):
        raise Fault(f"{match[0]} in a format is too wide")
    return _Verb(
        verb,
        flags,
        width=int(width) if width and width != "*" else None,
        precision=(int(precision or 0) if precision != "*" else None) if match["dot"] else None,
        star_width=width == "*",
        star_precision=precision == "*",
    )
