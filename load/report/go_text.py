"""How Go writes values as text: what reads ghz's reports gets the same from ours."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

from load.errors import ReportError

_SECOND: Final = 1_000_000_000


def number(value: float) -> str:
    """Return a float as `%v` writes it, and what exposes metrics: `20`, `1e+06`, `1e-05`."""
    exact = Decimal(repr(float(value))).normalize()
    if exact == 0 or -4 <= exact.adjusted() < 6:  # noqa: PLR2004 - fixed in Go.
        return f"{exact:f}"
    return scientific(exact, digits=2)


def scientific(value: Decimal, *, digits: int) -> str:
    """Return a number with an exponent, which has at least so many digits."""
    sign, figures, _ = value.as_tuple()
    first, *rest = map(str, figures)
    fraction = "." + "".join(rest) if rest else ""
    exponent = value.adjusted()
    power = f"{abs(exponent):0{digits}d}"
    return f"{'-' if sign else ''}{first}{fraction}e{'-' if exponent < 0 else '+'}{power}"


def nanoseconds(instant: str) -> int:
    """Return how many nanoseconds after the epoch an instant of RFC 3339 is.

    Raises:
        ReportError: There is no such day or time of day.
    """
    seconds, fraction, zone = _parts(instant)
    return _epoch(seconds + zone) * _SECOND + int(fraction.ljust(9, "0"))


def whole_seconds(instant: str) -> str:
    """Return an instant without its fraction of a second."""
    seconds, _, zone = _parts(instant)
    return seconds + zone


def _parts(instant: str) -> tuple[str, str, str]:
    zone = "Z" if instant.endswith("Z") else instant[-6:]
    seconds, _, fraction = instant.removesuffix(zone).partition(".")
    return seconds, fraction, zone


@lru_cache(maxsize=64)
def _epoch(instant: str) -> int:
    try:
        return int(datetime.fromisoformat(instant).timestamp())
    except ValueError as error:
        raise ReportError(f"there was no {instant}: {error}") from None


def instant(nanoseconds_: int) -> str:
    """Return an instant in the local zone, in RFC 3339, without the zeros at its end."""
    seconds, rest = divmod(nanoseconds_, _SECOND)
    local, zone = _local(seconds)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return local + fraction + zone


@lru_cache(maxsize=64)
def _local(seconds: int) -> tuple[str, str]:
    text = datetime.fromtimestamp(seconds, UTC).astimezone().isoformat()
    return text[:-6], "Z" if text.endswith("+00:00") else text[-6:]


def nano_unit(duration: int) -> str:
    """Return nanoseconds as ghz tells them to people: `9999 ns`, `0.01 ms`, `1.00 s`."""
    if duration < 10_000:  # noqa: PLR2004 - as in ghz.
        return f"{duration} ns"
    milliseconds = duration / 1e6
    if milliseconds < 1000:  # noqa: PLR2004
        return f"{milliseconds:4.2f} ms"
    return f"{milliseconds / 1000:4.2f} s"


def seconds(duration: int) -> float:
    """Return nanoseconds as seconds, rounded as Go does."""
    whole, rest = divmod(duration, _SECOND)
    return whole + rest / 1e9
