"""Periods, buckets and what follows from the kept figures."""

from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidRequestError
from domain.model.analytics import (
    MAX_BUCKETS,
    SUMMARY_FIELDS,
    Figures,
    Interval,
    Period,
    needs_active,
    summarize,
    summary_fields,
)

_DAYS = st.dates(date(1996, 1, 1), date(2030, 12, 31))
_PERIODS = st.tuples(_DAYS, st.integers(0, 800)).map(
    lambda each: Period(each[0], each[0] + timedelta(days=each[1]))
)
_BUCKET: dict[Interval, Callable[[date], Any]] = {
    Interval.DAY: lambda day: day,
    Interval.WEEK: lambda day: tuple(day.isocalendar())[:2],
    Interval.MONTH: lambda day: (day.year, day.month),
}
MARCH = Period(date(2024, 3, 1), date(2024, 3, 31))


def every_day(period: Period) -> list[date]:
    """Return the days of a period."""
    count = (period.to_day - period.from_day).days + 1
    return [period.from_day + timedelta(days=at) for at in range(count)]


@settings(deadline=None)
@given(_PERIODS, st.sampled_from(Interval))
def test_buckets_part_the_period(period: Period, interval: Interval) -> None:
    """Every day is in exactly one bucket, and two share one if their week or month is one."""
    buckets = period.buckets(interval)
    assert [day for bucket in buckets for day in every_day(bucket)] == every_day(period)
    keys = [{_BUCKET[interval](day) for day in every_day(bucket)} for bucket in buckets]
    assert all(len(key) == 1 for key in keys)
    assert len(set().union(*keys)) == len(buckets)


@settings(deadline=None)
@given(_PERIODS)
def test_the_period_before_is_as_long_and_ends_the_day_before(period: Period) -> None:
    """The two periods together are one without a gap, halved."""
    before = period.previous
    assert every_day(before) + every_day(period) == every_day(
        Period(before.from_day, period.to_day)
    )
    assert len(every_day(before)) == len(every_day(period))


@settings(deadline=None)
@given(_PERIODS)
def test_whole_months_have_all_their_days(period: Period) -> None:
    """A period is whole months if neither the day before nor the day after is of its months."""
    before, after = period.from_day - timedelta(days=1), period.to_day + timedelta(days=1)
    whole = before.month != period.from_day.month and after.month != period.to_day.month
    assert period.is_whole_months == whole


def test_calendars_end() -> None:
    """Periods at both ends of the calendar have buckets; none is before the first day."""
    last = Period(date(9999, 12, 1), date.max)
    assert last.is_whole_months
    assert last.buckets(Interval.MONTH) == [last]
    assert last.buckets(Interval.WEEK)[-1].to_day == date.max
    assert Period(date(1, 1, 2), date(1, 1, 2)).previous == Period(date.min, date.min)
    with pytest.raises(InvalidRequestError):
        _ = Period(date(1, 1, 2), date(1, 1, 3)).previous


def test_a_period_does_not_run_backwards() -> None:
    """The last day is not before the first, and may be the same."""
    assert Period(MARCH.from_day, MARCH.from_day).buckets(Interval.DAY)
    with pytest.raises(InvalidRequestError):
        Period(MARCH.to_day, MARCH.from_day)


def test_buckets_have_a_limit() -> None:
    """As many buckets as the limit says, and not one more."""
    most = Period(MARCH.from_day, MARCH.from_day + timedelta(days=MAX_BUCKETS - 1))
    assert len(most.buckets(Interval.DAY)) == MAX_BUCKETS
    with pytest.raises(InvalidRequestError):
        Period(most.from_day, most.to_day + timedelta(days=1)).buckets(Interval.DAY)


@settings(deadline=None)
@given(
    sales=st.integers(0, 10**6),
    bills=st.integers(0, 50),
    active=st.integers(0, 20),
    new=st.integers(0, 20),
    wanted=st.sets(st.sampled_from(sorted(SUMMARY_FIELDS))),
)
def test_a_summary_follows_from_its_figures(
    sales: int, bills: int, active: int, new: int, wanted: set[str]
) -> None:
    """Averages round half up, who is active is new or returning, and the rest is left at zero."""
    figures = Figures(MARCH, sales, bills, 3, 4, 5, min(new, active), active)
    full = summarize(figures, SUMMARY_FIELDS)
    if bills:
        exact = Fraction(sales, bills)
        assert full.average_bill_minor - exact <= Fraction(1, 2)
        assert exact - full.average_bill_minor < Fraction(1, 2)
    else:
        assert full.average_bill_minor == 0
    assert full.new_customers + full.returning_customers == active
    assert full.repeat_rate == (full.returning_customers / active if active else 0)
    masked = summarize(figures, frozenset(wanted))
    assert masked.period == MARCH
    for name in SUMMARY_FIELDS:
        assert getattr(masked, name) == (getattr(full, name) if name in wanted else 0)


def test_a_read_mask_names_fields_of_the_summary() -> None:
    """No mask and `*` are all fields, an unknown path is refused by its name."""
    assert summary_fields(None) == summary_fields(("*",)) == SUMMARY_FIELDS
    assert summary_fields(("bills", "period", "bills")) == {"bills"}
    with pytest.raises(InvalidRequestError, match="read_mask") as refused:
        summary_fields(("bills", "bill", "sales.minor", "*"))
    assert len(refused.value.violations) == 3


@pytest.mark.parametrize("field", sorted(SUMMARY_FIELDS))
def test_distinct_customers_are_counted_only_for_who_wants_them(field: str) -> None:
    """What does not need the active customers is the same without their count."""
    figures = Figures(MARCH, 100, 3, 3, 4, 5, 2, 7)
    uncounted = Figures(MARCH, 100, 3, 3, 4, 5, 2, None)
    wanted = frozenset({field})
    same = summarize(uncounted, wanted) == summarize(figures, wanted)
    assert same is not needs_active(wanted)
