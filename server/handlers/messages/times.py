"""Days and instants."""

from datetime import UTC, date, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from domain.errors import invalid_field

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_SECONDS_PER_DAY: Final = 86_400


def to_day(text: str, field: str) -> date | None:
    """Return the day of a field; None when it is empty.

    Raises:
        InvalidRequestError: The calendar has no such day.
    """
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid_field(field, "must be a day of the calendar, as YYYY-MM-DD") from None


def to_existing_day(text: str, field: str) -> date:
    """Return the day of a field that is never empty; raises as `to_day` does."""
    day = to_day(text, field)
    if day is None:
        raise invalid_field(field, "must be a day, as YYYY-MM-DD")
    return day


def from_day(day: date | None) -> str:
    """Return the text of a day; empty for None."""
    return "" if day is None else day.isoformat()


def to_instant(timestamp: Timestamp, field: str) -> datetime:
    """Return the instant of a field, to the microsecond.

    Raises:
        InvalidRequestError: The calendar has no such instant.
    """
    try:
        return timestamp.ToDatetime(UTC)
    except (OverflowError, ValueError):
        raise invalid_field(field, "must be an instant of the calendar") from None


def from_instant(instant: datetime) -> Timestamp:
    """Return an instant as a message."""
    # As Timestamp.FromDatetime, which takes thrice as long by way of the calendar.
    since = instant - _EPOCH
    return Timestamp(
        seconds=since.days * _SECONDS_PER_DAY + since.seconds, nanos=since.microseconds * 1000
    )
