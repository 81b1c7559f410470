"""The purchases of the demo: the CDNOW master data set, see data/README.md."""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib import resources
from typing import Final

CURRENCY: Final = "USD"
FIRST_DAY: Final = date(1997, 1, 1)
LAST_DAY: Final = date(1998, 6, 30)

_DATA = "data/cdnow_master.txt.gz"
_COLUMNS = 4
_DATE_DIGITS = 8
_MINOR_PER_UNIT = 100


class PurchasesUnreadable(Exception):
    """A line of the data is not a purchase."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """One purchase."""

    line: int
    """The number of its line in the data. Equal purchases differ in nothing else."""
    customer: str
    """The customer's number, with its leading zeros."""
    day: date
    cds: int
    amount_minor: int
    """What was paid, in cents."""


def read_purchases() -> list[Purchase]:
    """Return all purchases, in the order of the data. Raises PurchasesUnreadable."""
    file = resources.files(__package__).joinpath(_DATA)
    with file.open("rb") as compressed, gzip.open(compressed, "rt", encoding="ascii") as lines:
        return list(parse_purchases(lines))


def parse_purchases(lines: Iterable[str]) -> Iterator[Purchase]:
    """Yield the purchases of lines of the data, whose first is the header.

    Raises PurchasesUnreadable, naming the line.
    """
    for number, line in enumerate(lines, start=1):
        columns = line.split()
        if number == 1 or not columns:
            continue
        try:
            yield _parse(number, columns)
        except (ValueError, ArithmeticError) as error:
            raise PurchasesUnreadable(f"line {number} is no purchase: {line.strip()!r}") from error


def _parse(number: int, columns: list[str]) -> Purchase:
    if len(columns) != _COLUMNS:
        raise ValueError(f"{len(columns)} columns")
    customer, day, cds, dollars = columns
    amount = Decimal(dollars) * _MINOR_PER_UNIT
    if amount < 0 or amount != amount.to_integral_value():
        raise ValueError("not an amount in cents")
    if len(day) != _DATE_DIGITS or not day.isdecimal():
        raise ValueError("not a date")
    return Purchase(number, customer, date.fromisoformat(day), int(cds), int(amount))
