"""The merchant, in whose currency, time zone and region everything happens."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Self
from uuid import UUID
from zoneinfo import ZoneInfo

_HIGHEST: Final = 2**53
"""Redis compares revisions as floating-point numbers, which are exact up to here."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A point in the history of one merchant's writes.

    Its text is opaque to clients. Revisions of one epoch are ordered by their number; a restored or
    replaced database starts another epoch.
    """

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the revision of a text; raises ValueError for one that no revision has."""
        epoch, _, number = text.rpartition(".")
        if not (epoch and number.isascii() and number.isdecimal() and int(number) <= _HIGHEST):
            raise ValueError("not a revision")
        return cls(epoch, int(number))

    def contains(self, other: "Revision") -> bool:
        """Return whether all that the other one knows is in this one."""
        return other.epoch == self.epoch and other.number <= self.number


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant and its settings."""

    id: UUID
    name: str
    currency: str
    """The ISO 4217 code of all its amounts; fixed once there is a bill."""
    time_zone: str
    """An IANA name; decides the business day of every instant."""
    region: str
    """The ISO 3166 code of the country whose phone numbers need no country code."""
    revision: Revision

    def business_day(self, instant: datetime) -> date:
        """Return the date of an instant in the merchant's time zone."""
        return instant.astimezone(ZoneInfo(self.time_zone)).date()
