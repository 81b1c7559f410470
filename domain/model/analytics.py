"""Reports on a merchant's bills; their definitions are those of `analytics.proto`."""

import enum
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.errors import FieldViolation, InvalidRequestError, Reason, invalid_field
from domain.model.merchant import Revision
from domain.model.paging import Page

MAX_BUCKETS: Final = 1200
"""How many buckets a time series may have."""
_ONE_DAY: Final = timedelta(days=1)


class Interval(enum.Enum):
    """The length of the buckets of a time series."""

    DAY = enum.auto()
    WEEK = enum.auto()
    MONTH = enum.auto()

    def end_of_bucket(self, day: date) -> date:
        """Return the last day of the bucket that a day is in."""
        if self is Interval.DAY:
            return day
        if self is Interval.WEEK:
            # The last week of the calendar ends on a Friday.
            return day + min(timedelta(days=6 - day.weekday()), date.max - day)
        return day.replace(day=monthrange(day.year, day.month)[1])


class Ranking(enum.Enum):
    """What customers are ranked by."""

    SALES = enum.auto()
    BILLS = enum.auto()
    OUTSTANDING = enum.auto()
    RECENCY = enum.auto()


@dataclass(frozen=True, slots=True)
class Period:
    """A span of business days, both ends included."""

    from_day: date
    to_day: date

    def __post_init__(self) -> None:
        if self.to_day < self.from_day:
            raise invalid_field("period.to_day", "must not be before from_day")

    @property
    def previous(self) -> "Period":
        """The period of the same number of days that ends on the day before.

        Raises:
            InvalidRequestError: It would begin before the first day of the calendar.
        """
        last = self.from_day.toordinal() - 1
        first = last - (self.to_day - self.from_day).days
        if first < 1:
            raise invalid_field("period.from_day", "leaves no room for the period before")
        return Period(date.fromordinal(first), date.fromordinal(last))

    @property
    def is_whole_months(self) -> bool:
        """Whether it begins with the first and ends with the last day of a month."""
        return self.from_day.day == 1 and Interval.MONTH.end_of_bucket(self.to_day) == self.to_day

    def buckets(self, interval: Interval) -> list["Period"]:
        """Return the parts of the period that are in one bucket each, the earliest first.

        Raises:
            InvalidRequestError: There are more than `MAX_BUCKETS`.
        """
        found: list[Period] = []
        for bucket in self._buckets(interval):
            if len(found) == MAX_BUCKETS:
                raise invalid_field("period", f"must not have more than {MAX_BUCKETS} buckets")
            found.append(bucket)
        return found

    def _buckets(self, interval: Interval) -> Iterator["Period"]:
        first = self.from_day
        while True:
            last = interval.end_of_bucket(first)
            if last >= self.to_day:
                yield Period(first, self.to_day)
                return
            yield Period(first, last)
            first = last + _ONE_DAY


@dataclass(frozen=True, slots=True)
class Figures:
    """What is kept of one period; amounts in minor units."""

    period: Period
    sales_minor: int
    bills: int
    paid_minor: int
    outstanding_minor: int
    walk_in_bills: int
    new_customers: int
    active_customers: int | None
    """How many customers had a bill; None where it was not asked for."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one period, with what follows from them."""

    period: Period
    sales_minor: int = 0
    bills: int = 0
    average_bill_minor: int = 0
    paid_minor: int = 0
    outstanding_minor: int = 0
    active_customers: int = 0
    new_customers: int = 0
    returning_customers: int = 0
    walk_in_bills: int = 0
    repeat_rate: float = 0.0


SUMMARY_FIELDS: Final = frozenset(field.name for field in fields(Summary)) - {"period"}
"""The fields that a read mask may name."""
_DISTINCT: Final = frozenset({"active_customers", "returning_customers", "repeat_rate"})


def summary_fields(paths: tuple[str, ...] | None) -> frozenset[str]:
    """Return the fields of Summary that a read mask names; None or `*`: all.

    Raises:
        InvalidRequestError: A path is not that of a field.
    """
    if paths is None or paths == ("*",):
        return SUMMARY_FIELDS
    unknown = [path for path in paths if path not in SUMMARY_FIELDS and path != "period"]
    if unknown:
        raise InvalidRequestError(
            Reason.FIELD_INVALID,
            "read_mask: not a field of Summary",
            violations=[
                FieldViolation("read_mask", f"{path!r} is not a field of Summary")
                for path in unknown
            ],
        )
    return SUMMARY_FIELDS.intersection(paths)


def needs_active(wanted: frozenset[str]) -> bool:
    """Return whether the fields need distinct customers to be counted."""
    return bool(_DISTINCT & wanted)


def summarize(figures: Figures, wanted: frozenset[str]) -> Summary:
    """Return the summary of the figures with the wanted fields, the others at zero."""
    active = figures.active_customers or 0
    returning = active - figures.new_customers
    bills = figures.bills
    full = Summary(
        period=figures.period,
        sales_minor=figures.sales_minor,
        bills=bills,
        average_bill_minor=(2 * figures.sales_minor + bills) // (2 * bills) if bills else 0,
        paid_minor=figures.paid_minor,
        outstanding_minor=figures.outstanding_minor,
        active_customers=active,
        new_customers=figures.new_customers,
        returning_customers=returning,
        walk_in_bills=figures.walk_in_bills,
        repeat_rate=returning / active if active else 0.0,
    )
    unwanted: dict[str, Any] = dict.fromkeys(SUMMARY_FIELDS - wanted, 0)
    return replace(full, **unwanted) if unwanted else full


@dataclass(frozen=True, slots=True)
class Basis:
    """What a report stands on."""

    as_of: date
    computed_at: datetime
    currency: str
    time_zone: str
    revision: Revision

    @property
    def valid_until(self) -> datetime:
        """When the report is of yesterday: the end of the merchant's day."""
        tomorrow = self.as_of + timedelta(days=1)
        return datetime.combine(tomorrow, time.min, ZoneInfo(self.time_zone))


@dataclass(frozen=True, slots=True)
class SummaryReport:
    """A period and the one before it."""

    basis: Basis
    current: Summary
    previous: Summary


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """A period, bucket by bucket."""

    basis: Basis
    buckets: tuple[Figures, ...]


@dataclass(frozen=True, slots=True)
class RankedCustomer:
    """One customer of a ranking, with the figures of the asked span."""

    customer_id: UUID
    external_id: str
    name: str
    sales_minor: int
    bills: int
    outstanding_minor: int
    last_bill_day: date


@dataclass(frozen=True, slots=True)
class RankingReport:
    """One page of a ranking."""

    basis: Basis
    page: Page[RankedCustomer]
