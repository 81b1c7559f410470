"""The totals that are kept, so that no report has to read bills.

`Deltas` collects what one write changes of them. Definitions are those of `analytics.proto`.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final
from uuid import UUID

NEVER: Final = date.min
"""Stands for the visit before a customer's first."""


@dataclass(slots=True)
class DayDelta:
    """Changes of the figures of one business day."""

    bills: int = 0
    sales_minor: int = 0
    walk_in_bills: int = 0
    paid_minor: int = 0
    outstanding_minor: int = 0
    active_customers: int = 0
    new_customers: int = 0


@dataclass(slots=True)
class CustomerDelta:
    """Changes of the lifetime figures of one customer."""

    bills: int = 0
    sales_minor: int = 0
    outstanding_minor: int = 0
    credit_minor: int = 0
    visit_days: int = 0
    first_day: date = date.max
    """The earliest business day of a bill of this write."""
    last_day: date = date.min
    """The latest business day of a bill of this write."""


@dataclass(slots=True)
class CustomerMonthDelta:
    """Changes of the figures of one customer in one month."""

    bills: int = 0
    sales_minor: int = 0
    outstanding_minor: int = 0
    last_day: date = date.min


@dataclass(slots=True)
class CustomerDayDelta:
    """Changes of the figures of one customer on one business day."""

    bills: int = 0
    sales_minor: int = 0


def first_of_month(day: date) -> date:
    """Return the first day of a day's month."""
    return day.replace(day=1)


@dataclass(slots=True)
class Deltas:
    """What one write changes of the rollups."""

    days: defaultdict[date, DayDelta] = field(default_factory=lambda: defaultdict(DayDelta))
    customers: defaultdict[UUID, CustomerDelta] = field(
        default_factory=lambda: defaultdict(CustomerDelta)
    )
    customer_days: defaultdict[tuple[UUID, date], CustomerDayDelta] = field(
        default_factory=lambda: defaultdict(CustomerDayDelta)
    )
    customer_months: defaultdict[tuple[UUID, date], CustomerMonthDelta] = field(
        default_factory=lambda: defaultdict(CustomerMonthDelta)
    )
    day_gaps: defaultdict[tuple[date, date], int] = field(default_factory=lambda: defaultdict(int))
    """Changes of how many customers visited on a day with the visit before it on another day."""
    month_gaps: defaultdict[tuple[date, date], int] = field(
        default_factory=lambda: defaultdict(int)
    )
    """The same with months, named by their first days."""

    def add_bill(self, customer_id: UUID | None, day: date, total_minor: int) -> None:
        """Count a bill; what is open of it comes with `add_outstanding`."""
        of_day = self.days[day]
        of_day.bills += 1
        of_day.sales_minor += total_minor
        if customer_id is None:
            of_day.walk_in_bills += 1
            return
        customer = self.customers[customer_id]
        customer.bills += 1
        customer.sales_minor += total_minor
        customer.first_day = min(customer.first_day, day)
        customer.last_day = max(customer.last_day, day)
        customer_day = self.customer_days[customer_id, day]
        customer_day.bills += 1
        customer_day.sales_minor += total_minor
        month = self.customer_months[customer_id, first_of_month(day)]
        month.bills += 1
        month.sales_minor += total_minor
        month.last_day = max(month.last_day, day)

    def add_outstanding(self, customer_id: UUID, day: date, amount_minor: int) -> None:
        """Change what is open of a customer's bills of a day."""
        self.days[day].outstanding_minor += amount_minor
        self.customers[customer_id].outstanding_minor += amount_minor
        self.customer_months[customer_id, first_of_month(day)].outstanding_minor += amount_minor

    def add_credit(self, customer_id: UUID, amount_minor: int) -> None:
        """Change what a customer has free."""
        self.customers[customer_id].credit_minor += amount_minor

    def add_paid(self, day: date, amount_minor: int) -> None:
        """Count a payment on its day."""
        self.days[day].paid_minor += amount_minor

    def add_visit(self, customer_id: UUID, visit: "NewVisit") -> None:
        """Count a customer's first bill on a business day."""
        self.customers[customer_id].visit_days += 1
        of_day = self.days[visit.day]
        of_day.active_customers += 1
        if visit.previous == NEVER:
            of_day.new_customers += 1
            if visit.next is not None:
                self.days[visit.next].new_customers -= 1
        _insert(self.day_gaps, visit.day, visit.previous, visit.next)
        month = first_of_month(visit.day)
        before = visit.previous if visit.previous == NEVER else first_of_month(visit.previous)
        after = None if visit.next is None else first_of_month(visit.next)
        if month not in (before, after):
            _insert(self.month_gaps, month, before, after)


def _insert(
    gaps: defaultdict[tuple[date, date], int], at: date, before: date, after: date | None
) -> None:
    gaps[at, before] += 1
    if after is not None:
        gaps[after, before] -= 1
        gaps[after, at] += 1


@dataclass(frozen=True, slots=True)
class NewVisit:
    """A day on which a customer had no bill before, between the visits next to it."""

    day: date
    previous: date
    """The latest visit before it, or NEVER."""
    next: date | None
    """The earliest visit after it."""


class Visits:
    """The visit days of one customer, as far as one write needs to know them."""

    def __init__(self, known: Iterable[date] = ()) -> None:
        """Start with stored visits: for each day to add its neighbours, and itself if it is one."""
        self._days = sorted(set(known))

    def add(self, day: date) -> NewVisit | None:
        """Add a visit; returns None when the customer was there on that day already."""
        at = bisect_left(self._days, day)
        after = self._days[at] if at < len(self._days) else None
        if after == day:
            return None
        previous = self._days[at - 1] if at else NEVER
        insort(self._days, day)
        return NewVisit(day, previous, after)
