"""Numbers. Source: the functions of sprig; text that is no number is refused, where sprig takes 0.

Integers have 64 bits, and wrap around.
"""

import math
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Final

from load.templates.faults import Fault
from load.templates.literals import MAX_INT, MIN_INT, integer
from load.templates.printing import plain, quoted
from load.templates.values import Value, type_of, wrapped

_MOST: Final = 2**20
_DENSE: Final = re.compile(r"[!-^`-~]+")
_OCTAL: Final = re.compile(r"[+-]?[0-7]+")
_DECIMAL: Final = re.compile(r"(?:[+-]?[0-9]+)?")
_DIVIDED_DIGITS: Final = Decimal("1e-16")
_CONTEXT: Final = Context(prec=700)


def to_integer(value: Value) -> int:
    """Return the integer that is meant; nil and the empty text mean 0.

    Raises:
        Fault: None is.
    """
    if isinstance(value, int):
        return int(value)
    if value is None or value == "":
        return 0
    if isinstance(value, float) and math.isfinite(value) and MIN_INT <= value <= MAX_INT:
        return int(value)
    if isinstance(value, str):
        try:
            found = integer(value)
        except ValueError:
            found = MAX_INT + 1
        if MIN_INT <= found <= MAX_INT:
            return found
        raise Fault(f"{quoted(value)} is no integer")
    raise Fault(f"{type_of(value)} is no integer")


def _to_float(value: Value) -> float:
    if isinstance(value, int | float):
        return float(value)
    if value is None or value == "":
        return 0.0
    if isinstance(value, str):
        try:
            # To Python, spaces around it and underscores in it are nothing.
            return float(value if _DENSE.fullmatch(value) else "")
        except ValueError:
            raise Fault(f"{quoted(value)} is no number") from None
    raise Fault(f"{type_of(value)} is no number")


def _add(*values: Value) -> int:
    return wrapped(sum(map(to_integer, values)))


def _add1(value: Value) -> int:
    return wrapped(to_integer(value) + 1)


def _sub(one: Value, other: Value) -> int:
    return wrapped(to_integer(one) - to_integer(other))


def _mul(one: Value, *others: Value) -> int:
    return wrapped(math.prod(map(to_integer, others), start=to_integer(one)))


def _div(one: Value, other: Value) -> int:
    dividend, divisor = to_integer(one), _divisor(other)
    quotient = abs(dividend) // abs(divisor)
    return wrapped(quotient if (dividend < 0) == (divisor < 0) else -quotient)


def _mod(one: Value, other: Value) -> int:
    dividend, divisor = to_integer(one), _divisor(other)
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def _divisor(value: Value) -> int:
    divisor = to_integer(value)
    if not divisor:
        raise Fault("nothing can be divided by 0")
    return divisor


def _max(one: Value, *others: Value) -> int:
    return max(map(to_integer, (one, *others)))


def _min(one: Value, *others: Value) -> int:
    return min(map(to_integer, (one, *others)))


def _decimal(value: Value) -> Decimal:
    number = _to_float(value)
    if not math.isfinite(number):
        raise Fault("it takes numbers that are finite alone")
    return Decimal(repr(number))


def _addf(*values: Value) -> float:
    with localcontext(_CONTEXT):
        return float(sum(map(_decimal, values), start=Decimal(0)))


def _add1f(value: Value) -> float:
    return _addf(value, 1)


def _subf(one: Value, *others: Value) -> float:
    with localcontext(_CONTEXT):
        return float(_decimal(one) - sum(map(_decimal, others), start=Decimal(0)))


def _mulf(one: Value, *others: Value) -> float:
    with localcontext(_CONTEXT):
        return float(math.prod(map(_decimal, others), start=_decimal(one)))


def _divf(one: Value, *others: Value) -> float:
    with localcontext(_CONTEXT):
        quotient = _decimal(one)
        for other in others:
            divisor = _decimal(other)
            if not divisor:
                raise Fault("nothing can be divided by 0")
            quotient = (quotient / divisor).quantize(_DIVIDED_DIGITS, ROUND_HALF_UP)
        return float(quotient)


def _maxf(one: Value, *others: Value) -> float:
    return max(map(_to_float, (one, *others)))


def _minf(one: Value, *others: Value) -> float:
    return min(map(_to_float, (one, *others)))


def _floor(value: Value) -> float:
    number = _to_float(value)
    return float(math.floor(number)) if math.isfinite(number) else number


def _ceil(value: Value) -> float:
    number = _to_float(value)
    return float(math.ceil(number)) if math.isfinite(number) else number


_MOST_DIGITS: Final = 300


def _round(value: Value, digits: int, *up_from: float) -> float:
    if abs(digits) > _MOST_DIGITS:
        raise Fault(f"nothing is rounded to {digits} digits")
    power = math.pow(10, digits)
    number = _to_float(value) * power
    if not math.isfinite(number):
        raise Fault("it takes numbers that are finite alone")
    part = math.modf(number)[0]
    limit = up_from[0] if up_from else 0.5
    return float(math.ceil(number) if part >= limit else math.floor(number)) / power


def _atoi(text: str) -> int:
    # Unlike `int`, it knows no base but ten.
    if not _DECIMAL.fullmatch(text) or not MIN_INT <= int(text or "0") <= MAX_INT:
        raise Fault(f"{quoted(text)} is no integer")
    return int(text or "0")


def _octal(value: Value) -> int:
    text = plain(value)
    if not _OCTAL.fullmatch(text) or not MIN_INT <= int(text, 8) <= MAX_INT:
        raise Fault(f"{quoted(text)} is no octal number")
    return int(text, 8)


def _until(count: int) -> list[int]:
    return _until_step(0, count, -1 if count < 0 else 1)


def _until_step(start: int, end: int, step: int) -> list[int]:
    if not step:
        return []
    numbers = range(start, end, step)
    if len(numbers) > _MOST:
        raise Fault(f"more than {_MOST} numbers are no list here")
    return list(numbers)


def _seq(*parameters: int) -> str:
    match parameters:
        case (end,):
            start, step = 1, -1 if end < 1 else 1
        case (start, end):
            step = -1 if end < start else 1
        case (start, step, end):
            if end < start and step > 0:
                return ""
        case _:
            return ""
    numbers = _until_step(start, end + (-1 if end < start else 1), step)
    return " ".join(map(str, numbers))


FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "int": to_integer,
    "int64": to_integer,
    "float64": _to_float,
    "atoi": _atoi,
    "toDecimal": _octal,
    "add": _add,
    "add1": _add1,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "mod": _mod,
    "max": _max,
    "biggest": _max,
    "min": _min,
    "addf": _addf,
    "add1f": _add1f,
    "subf": _subf,
    "mulf": _mulf,
    "divf": _divf,
    "maxf": _maxf,
    "minf": _minf,
    "floor": _floor,
    "ceil": _ceil,
    "round": _round,
    "until": _until,
    "untilStep": _until_step,
    "seq": _seq,
}
