"""Totals and statuses of bills, and what a draft must keep to."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidRequestError, Reason
from domain.model.bill import (
    MAX_TOTAL_MINOR,
    Bill,
    BillDraft,
    BillStatus,
    Line,
    PaymentDraft,
    PaymentMethod,
    Totals,
    check,
    totals,
)
from domain.model.merchant import Merchant, Revision

NOW = datetime(2024, 3, 10, 16, tzinfo=UTC)
MERCHANT = Merchant(UUID(int=1), "A shop", "USD", "America/New_York", "US", Revision("e", 0))
DRAFT = BillDraft(
    id=None,
    customer_id=None,
    phone="4155552671",
    external_id=None,
    customer_name="",
    client_reference="",
    currency="USD",
    lines=(Line("Tea", 1000, 1000, 0, 0),),
    expected_total_minor=None,
    payments=(),
    billed_at=None,
    due_on=None,
    note="",
    digest=b"",
)
_LINES = st.lists(
    st.builds(
        Line,
        st.just("Tea"),
        st.integers(1, 10**5),
        st.integers(0, 10**6),
        st.just(0),
        st.integers(0, 10**6),
    ),
    max_size=9,
)


def reason(**changes: Any) -> tuple[Reason, list[str]]:
    """Return why a draft with these changes is refused, and at which fields."""
    with pytest.raises(InvalidRequestError) as refused:
        check(replace(DRAFT, **changes), 1000, MERCHANT, NOW, "bill")
    return refused.value.reason, [violation.field for violation in refused.value.violations]


@settings(deadline=None)
@given(_LINES)
def test_each_line_is_rounded_half_up(lines: list[Line]) -> None:
    """The subtotal is the sum of the lines' exact products, each rounded by itself."""
    exact = [Decimal(line.quantity_milli) * line.unit_price_minor / 1000 for line in lines]
    rounded = [int(each.quantize(Decimal(1), ROUND_HALF_UP)) for each in exact]
    found = totals(lines, "bill")
    assert found.subtotal_minor == sum(rounded)
    assert found.total_minor == sum(rounded) + sum(line.tax_minor for line in lines)


@settings(deadline=None)
@given(st.integers(1, 10**5), st.integers(0, 10**6), st.integers(-1, 1))
def test_a_discount_takes_at_most_the_line(quantity: int, price: int, over: int) -> None:
    """A line may cost nothing, but never less."""
    gross = Line("Tea", quantity, price, 0, 0).gross_minor
    lines = [Line("Tea", 1000, 5, 0, 0), Line("Tea", quantity, price, max(0, gross + over), 0)]
    if gross + over <= gross:
        assert totals(lines, "bill").total_minor >= 5
    else:
        with pytest.raises(InvalidRequestError) as refused:
            totals(lines, "bills[3]")
        [violation] = refused.value.violations
        assert violation.field == "bills[3].lines[1].discount_minor"


@pytest.mark.parametrize("discount", [0, 1])
def test_a_total_has_a_limit(discount: int) -> None:
    """The highest total passes, one more does not, and no discount hides what is over."""
    most = Line("Tea", 1000, MAX_TOTAL_MINOR, 0, 0)
    assert totals([most], "bill").total_minor == MAX_TOTAL_MINOR
    for over in (
        replace(most, unit_price_minor=MAX_TOTAL_MINOR + 1, discount_minor=discount),
        replace(most, tax_minor=1),
    ):
        with pytest.raises(InvalidRequestError, match=str(MAX_TOTAL_MINOR)):
            totals([over], "bill")


@pytest.mark.parametrize(
    "total, open_, status",
    [
        (0, 0, BillStatus.PAID),
        (10, 0, BillStatus.PAID),
        (10, 1, BillStatus.PARTIALLY_PAID),
        (10, 10, BillStatus.OPEN),
    ],
)
def test_the_status_follows_from_what_is_open(total: int, open_: int, status: BillStatus) -> None:
    """A bill of which nothing is open is paid, also one of zero."""
    bill = Bill(
        id=UUID(int=1),
        number=1,
        customer_id=None,
        client_reference="",
        currency="USD",
        lines=(),
        totals=Totals(total, 0, 0),
        open_minor=open_,
        payments=(),
        billed_at=NOW,
        business_day=NOW.date(),
        due_on=None,
        note="",
        created_at=NOW,
        revision=255,
    )
    assert (bill.status, bill.etag) == (status, "ff")


def test_a_draft_fits_the_merchant_and_itself() -> None:
    """A draft in another currency, of another total or not settled by a walk-in is refused."""
    check(DRAFT, 1000, MERCHANT, NOW, "bill")
    assert reason(currency="EUR") == (Reason.CURRENCY_MISMATCH, ["bill.currency"])
    assert reason(expected_total_minor=0) == (Reason.TOTAL_MISMATCH, ["bill.expected_total_minor"])
    assert reason(phone=None) == (Reason.WALK_IN_NOT_SETTLED, ["bill.payments"])


def test_clocks_may_be_a_day_ahead() -> None:
    """An instant of a day ahead passes, and nothing later."""
    day = timedelta(days=1)
    later = day + timedelta(microseconds=1)

    def paid(at: datetime) -> tuple[PaymentDraft, ...]:
        return (PaymentDraft(None, 1, PaymentMethod.CASH, at),)

    check(replace(DRAFT, billed_at=NOW + day, payments=paid(NOW + day)), 1000, MERCHANT, NOW, "b")
    assert reason(billed_at=NOW + later)[1] == ["bill.bill_time"]
    assert reason(payments=paid(NOW + later))[1] == ["bill.payments[0].pay_time"]


def test_a_bill_is_due_on_its_day_at_the_earliest() -> None:
    """The due day is compared with the date in the merchant's time zone."""
    midnight = datetime(2024, 3, 10, 4, 59, tzinfo=UTC)
    due = date(2024, 3, 9)
    check(replace(DRAFT, billed_at=midnight, due_on=due), 1000, MERCHANT, NOW, "bill")
    assert reason(due_on=due)[1] == ["bill.due_day"]
