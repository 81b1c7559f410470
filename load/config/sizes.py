"""Sizes as people write them, such as `4MiB` or `1024mb`.

Source: `ParseBytes` of github.com/dustin/go-humanize, which ghz reads them with.
"""

import re
from fractions import Fraction
from typing import Final

from load.errors import ConfigError

_SIZE: Final = re.compile(r"([\d,]*\.?[\d,]*)\s*([a-z]*)", re.ASCII | re.IGNORECASE)
_PREFIXES: Final = "kmgtpe"
_LARGEST: Final = 2**64 - 1


def parse_size(text: str) -> int:
    """Return a size in bytes: `kb` are 1,000, `kib` are 1,024; without a unit they are bytes.

    Raises:
        ConfigError: It is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    number, unit = (match[1].replace(",", ""), match[2].lower()) if match else ("", "")
    factor = _factor(unit)
    if number in ("", ".") or factor is None:
        raise ConfigError(f"{text!r} is no size, such as 4MiB, 16mb or 4194304")
    size = int(Fraction(number) * factor)
    if size > _LARGEST:
        raise ConfigError(f"{text!r} is larger than 16EiB")
    return size


def _factor(unit: str) -> int | None:
    if unit in ("", "b"):
        return 1
    power = _PREFIXES.find(unit[0]) + 1
    if power and unit[1:] in ("", "b"):
        return int(1000**power)
    return int(1024**power) if power and unit[1:] in ("i", "ib") else None
