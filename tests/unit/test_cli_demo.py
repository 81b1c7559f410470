"""The demo's purchases, and the bills they become."""

import gzip
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources
from typing import Any
from uuid import UUID

import pytest

from patron.bill.v1.bill_pb2 import PAYMENT_METHOD_CASH
from patron.bill.v1.bill_service_pb2 import ImportBillsRequest, ImportBillsResponse
from server.cli.demo.importing import Imported, import_purchases
from server.cli.demo.purchases import (
    FIRST_DAY,
    LAST_DAY,
    Purchase,
    PurchasesUnreadable,
    parse_purchases,
    read_purchases,
)

HEADER = " customer_id  date number_of_cds  dollar_value\r\n"


class Bills:
    """Takes imports and keeps their batches."""

    def __init__(self) -> None:
        self.calls: list[list[ImportBillsRequest]] = []

    async def ImportBills(  # noqa: N802 - as the contract names it.
        self, batches: Iterable[ImportBillsRequest], **_: Any
    ) -> ImportBillsResponse:
        call = list(batches)
        self.calls.append(call)
        return ImportBillsResponse(created_bills=sum(len(batch.bills) for batch in call))


async def sent(
    purchases: list[Purchase], imported: Callable[[int], None] = lambda _: None
) -> list[ImportBillsRequest]:
    """Return the batches in which purchases are sent to a merchant in New York."""
    bills: Any = Bills()
    done = await import_purchases(
        bills, purchases, metadata=[], time_zone="America/New_York", imported=imported
    )
    assert done == Imported(len(purchases), 0)
    return [batch for call in bills.calls for batch in call]


def test_the_projects_own_copy_is_whole() -> None:
    """Every purchase of the data set is read, exactly to the cent."""
    purchases = read_purchases()
    assert len(purchases) == 69_659
    assert len({purchase.line for purchase in purchases}) == 69_659
    assert len({purchase.customer for purchase in purchases}) == 23_570
    assert sum(purchase.amount_minor for purchase in purchases) == 250_031_563
    assert min(purchase.day for purchase in purchases) == FIRST_DAY
    assert max(purchase.day for purchase in purchases) == LAST_DAY
    assert purchases[0] == Purchase(2, "00001", date(1997, 1, 1), 1, 1177)


def test_amounts_are_exact() -> None:
    """Amounts that binary fractions cannot hold are read to the cent."""
    lines = [HEADER, " 00001 19970101  1    0.29\n", " 00001 19970101  1 9999.57\n", "\n"]
    assert [purchase.amount_minor for purchase in parse_purchases(lines)] == [29, 999957]


@pytest.mark.parametrize(
    "line",
    [
        "00001 19970101 1",
        "00001 19970101 1 1.00 x",
        "00001 19970231 1 1.00",
        "00001 1997-1-1 1 1.00",
        "00001 1997W011 1 1.00",
        "00001 19970101 one 1.00",
        "00001 19970101 1 1.005",
        "00001 19970101 1 -1.00",
        "00001 19970101 1 NaN",
        "00001 19970101 1 Infinity",
        "00001 19970101 1 1,00",
    ],
)
def test_a_line_that_is_no_purchase_is_named(line: str) -> None:
    """Nothing is guessed from a broken line: the error says which it is."""
    with pytest.raises(PurchasesUnreadable, match="line 2"):
        list(parse_purchases([HEADER, line]))


async def test_a_purchase_becomes_a_bill_paid_in_cash() -> None:
    """The bill has the purchase's amount, customer and day, and its payment."""
    purchase = Purchase(7, "00042", date(1997, 7, 4), 3, 2999)
    [batch] = await sent([purchase])
    [bill] = batch.bills
    [line] = bill.lines
    [payment] = bill.payments
    assert bill.external_id == "00042"
    assert bill.currency == "USD"
    assert (line.description, line.quantity_milli, line.unit_price_minor) == ("3 CDs", 1000, 2999)
    assert bill.expected_total_minor == 2999
    assert (payment.amount_minor, payment.method) == (2999, PAYMENT_METHOD_CASH)
    # Noon in New York.
    assert bill.bill_time.ToDatetime(UTC) == datetime(1997, 7, 4, 16, tzinfo=UTC)


async def test_a_purchase_of_nothing_has_no_payment() -> None:
    """A bill of zero is paid without a payment, which would have to be above zero."""
    [batch] = await sent([Purchase(7, "00042", date(1997, 7, 4), 1, 0)])
    assert batch.bills[0].lines[0].description == "1 CD"
    assert not batch.bills[0].payments


async def test_ids_derive_from_the_line_alone() -> None:
    """Equal purchases are different bills, and a line is the same bill in every import."""
    day = date(1997, 1, 1)
    twins = [Purchase(number, "00042", day, 1, 500) for number in (7, 8)]
    [first], [second] = await sent(twins), await sent(twins)
    assert first == second
    ids = [bill.id for bill in first.bills] + [bill.payments[0].id for bill in first.bills]
    assert len({UUID(text) for text in ids}) == 4


async def test_batches_hold_at_most_500_bills_in_order() -> None:
    """Purchases are sent in the order of the data, in batches that the service takes."""
    purchases = [Purchase(n, f"{n:05}", date(1997, 1, 1), 1, 100) for n in range(2, 2703)]
    progress: list[int] = []
    batches = await sent(purchases, progress.append)
    assert [len(batch.bills) for batch in batches] == [500, 500, 500, 500, 500, 201]
    assert progress == [2000, 2701]
    order = [bill.external_id for batch in batches for bill in batch.bills]
    assert order == [purchase.customer for purchase in purchases]


def test_the_data_is_a_plain_table_as_published() -> None:
    """The copy is the published file: its header is there, and its sum is by plain arithmetic."""
    file = resources.files("server.cli.demo").joinpath("data/cdnow_master.txt.gz")
    with file.open("rb") as compressed, gzip.open(compressed, "rt") as lines:
        assert next(lines).split() == ["customer_id", "date", "number_of_cds", "dollar_value"]
        assert sum(Decimal(line.split()[3]) for line in lines) == Decimal("2500315.63")
