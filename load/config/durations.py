"""Durations as Go reads and writes them, such as `1m30s`, in whole nanoseconds.

Source: `ParseDuration` and `Duration.String` of Go's package `time`. The library durationpy reads
more than Go does (`1d`, `1s!2s`), keeps microseconds only, and writes `1m0s` as `1m`.
"""

import re
from fractions import Fraction
from typing import Final

from load.errors import ConfigError

_UNITS: Final = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "\N{MICRO SIGN}s": 1_000,
    "\N{GREEK SMALL LETTER MU}s": 1_000,
    "ns": 1,
}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]+)", re.ASCII)
_NUMBER: Final = re.compile(r"[\d.]+", re.ASCII)
_LONGEST: Final = 2**63 - 1


def parse_duration(text: str) -> int:
    """Return a duration in nanoseconds; what is less than one is cut off.

    Raises:
        ConfigError: Go would not take it for a duration.
    """
    unsigned = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if unsigned == "0":
        return 0
    if _NUMBER.fullmatch(unsigned):
        raise ConfigError(f"{text!r} has no unit: a duration is one such as 500ms, 20s or 1m30s")
    total, at = 0, 0
    for part in _PART.finditer(unsigned):
        number, unit = part.groups()
        if part.start() != at or unit not in _UNITS:
            break
        total += int(Fraction(number) * _UNITS[unit])
        at = part.end()
    if not unsigned or at != len(unsigned):
        raise ConfigError(f"{text!r} is no duration, such as 500ms, 20s or 1m30s")
    if total > _LONGEST:
        raise ConfigError(f"{text!r} is longer than 292 years")
    return -total if text.startswith("-") else total


def format_duration(nanoseconds: int) -> str:
    """Return a duration as Go writes it: `1h0m0s`, `1m30s`, `1.5s`, `20ms`, `0s`."""
    sign, rest = "-" if nanoseconds < 0 else "", abs(nanoseconds)
    if rest < _UNITS["s"]:
        unit = next((unit for unit in ("ms", "\N{MICRO SIGN}s") if rest >= _UNITS[unit]), "ns")
        return f"{sign}{_decimal(rest, _UNITS[unit])}{unit}" if rest else "0s"
    minutes, seconds = divmod(rest, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    longer = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{longer}{_decimal(seconds, _UNITS['s'])}s"


def _decimal(nanoseconds: int, unit: int) -> str:
    whole, rest = divmod(nanoseconds, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".") if rest else str(whole)
