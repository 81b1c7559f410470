"""The merchant, in whose currency, time zone and region everything happens."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo


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
