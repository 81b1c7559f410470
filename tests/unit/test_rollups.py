"""What one write changes of the totals, against counting everything anew."""

from collections import Counter
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.rollups import NEVER, Deltas, NewVisit, Visits, first_of_month

DAY = date(2024, 1, 30)
_DAYS = st.sampled_from([DAY + timedelta(days=at) for at in (0, 1, 2, 3, 29, 30, 31, 32, 61, 62)])
_WHO = st.sampled_from([None, UUID(int=1), UUID(int=2), UUID(int=3)])
_BILLS = st.lists(st.tuples(_WHO, _DAYS, st.integers(0, 9)), max_size=20)


def gaps(visits: dict[UUID, list[date]]) -> Counter[tuple[date, date]]:
    """Count the customers by a visit and the one before it."""
    return Counter(
        pair for days in visits.values() for pair in zip(days, [NEVER, *days], strict=False)
    )


@settings(deadline=None)
@given(st.lists(_DAYS), st.lists(_DAYS))
def test_a_visit_stands_between_its_neighbours(known: list[date], added: list[date]) -> None:
    """A new day has the latest before and the earliest after it; a known day is none."""
    visits = Visits(known)
    days = set(known)
    for day in added:
        expected = (
            None
            if day in days
            else NewVisit(
                day,
                max((each for each in days if each < day), default=NEVER),
                min((each for each in days if each > day), default=None),
            )
        )
        assert visits.add(day) == expected
        days.add(day)


@settings(deadline=None)
@given(_BILLS, st.integers(0, 20))
def test_deltas_are_the_difference_of_two_countings(
    bills: list[tuple[UUID | None, date, int]], known: int
) -> None:
    """The deltas of some bills after others are what a count of all has more than one of those."""
    before, new = bills[:known], bills[known:]
    deltas = Deltas()
    visits = {who: Visits(day for each, day, _ in before if each == who) for who, _, _ in bills}
    for who, day, total in new:
        deltas.add_bill(who, day, total)
        if who is not None and (visit := visits[who].add(day)) is not None:
            deltas.add_visit(who, visit)

    assert {
        day: (each.bills, each.sales_minor, each.walk_in_bills, each.active_customers)
        for day, each in deltas.days.items()
        if each.bills
    } == {
        day: (
            len(of_day := [each for each in new if each[1] == day]),
            sum(total for _, _, total in of_day),
            sum(who is None for who, _, _ in of_day),
            len(customers_on(day, bills) - customers_on(day, before)),
        )
        for day in {day for _, day, _ in new}
    }
    newcomers = Counter({day: each.new_customers for day, each in deltas.days.items()})
    assert nonzero(newcomers) == nonzero(difference(firsts(bills), firsts(before)))
    assert nonzero(deltas.day_gaps) == nonzero(difference(gaps(days(bills)), gaps(days(before))))
    assert nonzero(deltas.month_gaps) == nonzero(
        difference(gaps(months(bills)), gaps(months(before)))
    )
    for who, each in deltas.customers.items():
        mine = [bill for bill in new if bill[0] == who]
        assert (each.bills, each.sales_minor) == (len(mine), sum(total for _, _, total in mine))
        assert each.visit_days == len(days(bills)[who]) - len(days(before).get(who, []))
        assert each.first_day == min(day for _, day, _ in mine)
        assert each.last_day == max(day for _, day, _ in mine)
    for (who, month), of_month in deltas.customer_months.items():
        mine = [bill for bill in new if bill[0] == who and first_of_month(bill[1]) == month]
        assert (of_month.bills, of_month.last_day) == (len(mine), max(day for _, day, _ in mine))
    assert sum(each.bills for each in deltas.customer_days.values()) == sum(
        who is not None for who, _, _ in new
    )


Bills = list[tuple[UUID | None, date, int]]


def customers_on(day: date, bills: Bills) -> set[UUID]:
    """Return who had a bill on a day."""
    return {who for who, at, _ in bills if who is not None and at == day}


def days(bills: Bills) -> dict[UUID, list[date]]:
    """Return the visit days of everybody."""
    who_ = {who for who, _, _ in bills if who is not None}
    return {who: sorted({day for each, day, _ in bills if each == who}) for who in who_}


def months(bills: Bills) -> dict[UUID, list[date]]:
    """Return the months with a visit of everybody."""
    return {who: sorted({first_of_month(day) for day in of}) for who, of in days(bills).items()}


def firsts(bills: Bills) -> Counter[date]:
    """Count the customers by their first day."""
    return Counter(of[0] for of in days(bills).values())


def difference(after: Counter[Any], before: Counter[Any]) -> Counter[Any]:
    """Return what is more in one, or less."""
    more = Counter(after)
    more.subtract(before)
    return more


def nonzero(counts: dict[Any, int]) -> dict[Any, int]:
    """Return the counts that are not zero."""
    return {key: count for key, count in counts.items() if count}


def test_what_is_open_free_and_paid_is_added_up() -> None:
    """Changes of one day, customer and month add up; payments count on days of their own."""
    who = UUID(int=1)
    deltas = Deltas()
    deltas.add_outstanding(who, DAY, 100)
    deltas.add_outstanding(who, DAY + timedelta(days=1), 50)
    deltas.add_outstanding(who, DAY, -30)
    deltas.add_credit(who, 20)
    deltas.add_credit(who, -5)
    deltas.add_paid(DAY, 30)
    assert (deltas.days[DAY].outstanding_minor, deltas.days[DAY].paid_minor) == (70, 30)
    assert deltas.customers[who].outstanding_minor == 120
    assert deltas.customers[who].credit_minor == 15
    assert deltas.customer_months[who, date(2024, 1, 1)].outstanding_minor == 120
