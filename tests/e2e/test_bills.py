"""What a client sees of bills."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from patron.bill.v1.bill_pb2 import BillDraft, BillStatus, PaymentMethod
from patron.bill.v1.bill_service_pb2 import GetBillRequest, ImportBillsRequest
from tests.support.bills import (
    bill_of,
    create_bill,
    creation,
    import_bills,
    instant,
    line,
    payment,
    trailers,
)
from tests.support.chain_server import Refusal, refusal
from tests.support.service import Client, Service

OPEN = BillStatus.BILL_STATUS_OPEN
PARTLY = BillStatus.BILL_STATUS_PARTIALLY_PAID
PAID = BillStatus.BILL_STATUS_PAID
NOON = datetime(2024, 3, 10, 16, tzinfo=UTC)


async def get(client: Client, bill_id: str) -> Any:
    """Return a bill."""
    return (await client.bills.GetBill(GetBillRequest(bill_id=bill_id))).bill


async def refused(client: Client, draft: BillDraft) -> Refusal:
    """Return how the creation of a bill fails."""
    return await refusal(client.bills.CreateBill(creation(draft)))


async def standing(client: Client, *bills: Any) -> list[tuple[int, int]]:
    """Return the status and the open amount of bills, now."""
    shown = [await get(client, bill.id) for bill in bills]
    return [(bill.status, bill.open_minor) for bill in shown]


async def test_a_bill_is_shown_as_created(client: Client) -> None:
    """GetBill shows the draft with its totals, its number and its business day."""
    draft = BillDraft(
        id=str(uuid4()),
        phone="4155552671",
        client_reference="offline-7",
        currency="USD",
        lines=[
            line(1999, description="Tea", quantity_milli=1500, discount_minor=99, tax_minor=240),
            line(0, description="A gift"),
        ],
        expected_total_minor=3140,
        payments=[
            payment(1000, id=str(uuid4()), pay_time=instant(NOON - timedelta(days=2))),
            payment(140, method=PaymentMethod.PAYMENT_METHOD_MOBILE_MONEY),
        ],
        bill_time=instant(NOON),
        due_day="2024-03-31",
        note="Thank you",
    )
    answer = await client.bills.CreateBill(creation(draft))
    made = answer.bill
    for field in ("id", "client_reference", "currency", "lines", "bill_time", "due_day", "note"):
        assert getattr(made, field) == getattr(draft, field), field
    assert (made.subtotal_minor, made.discount_minor, made.tax_minor) == (2999, 99, 240)
    assert (made.total_minor, made.open_minor, made.status) == (3140, 2000, PARTLY)
    assert (made.number, made.business_day) == (1, "2024-03-10")
    one, other = made.payments
    assert one == draft.payments[0]
    assert (other.amount_minor, other.method) == (140, draft.payments[1].method)
    assert other.pay_time == draft.bill_time
    assert other.id not in ("", one.id)
    assert await get(client, made.id) == made


async def test_a_bill_is_made_now_unless_it_says_otherwise(client: Client) -> None:
    """Without a time the bill and its payments are made when they are accepted."""
    before = datetime.now(UTC)
    made = await create_bill(client, paid_minor=1000)
    assert before <= made.bill_time.ToDatetime(UTC) <= datetime.now(UTC)
    assert made.create_time == made.bill_time == made.payments[0].pay_time
    assert made.due_day == ""


async def test_a_draft_without_an_id_makes_another_bill_each_time(client: Client) -> None:
    """Equal drafts without ids are different bills."""
    one, other = [await create_bill(client, paid_minor=1000) for _ in range(2)]
    assert (one.number, other.number) == (1, 2)
    assert one.id != other.id


@pytest.mark.parametrize(
    "quantity_milli, unit_price_minor, total_minor",
    [(1, 499, 0), (1, 500, 1), (1, 1499, 1), (1, 1500, 2), (2500, 3, 8), (333, 100, 33), (5, 0, 0)],
)
async def test_a_line_is_rounded_half_up(
    client: Client, quantity_milli: int, unit_price_minor: int, total_minor: int
) -> None:
    """Each line by itself is rounded to minor units, halves up."""
    piece = line(unit_price_minor, quantity_milli=quantity_milli)
    made = await create_bill(client, external_id="7", lines=[piece, piece, piece])
    assert made.total_minor == 3 * total_minor
    assert made.status == (OPEN if total_minor else PAID)


@pytest.mark.parametrize(
    "paid, status, open_minor",
    [(0, OPEN, 1000), (1, PARTLY, 999), (999, PARTLY, 1), (1000, PAID, 0), (1001, PAID, 0)],
)
async def test_what_is_paid_decides_the_status(
    client: Client, paid: int, status: int, open_minor: int
) -> None:
    """A bill is open, partly paid or paid by what its payments leave of it."""
    made = await create_bill(client, external_id="7", paid_minor=paid)
    assert (made.status, made.open_minor) == (status, open_minor)


async def test_what_is_over_pays_the_oldest_bill_first(client: Client) -> None:
    """What is over pays the others, the first due first, and then is credit for later ones."""

    async def bill(day: int, total: int, paid: int = 0, **fields: Any) -> Any:
        when = instant(NOON + timedelta(days=day))
        return await create_bill(
            client, total, external_id="7", bill_time=when, paid_minor=paid, **fields
        )

    due_last = await bill(0, 100, due_day="2024-04-30")
    second = await bill(2, 100)
    first = await bill(1, 100)
    assert await standing(client, first, second, due_last) == [(OPEN, 100)] * 3
    await bill(3, 10, 160)
    assert await standing(client, first, second, due_last) == [(PAID, 0), (PARTLY, 50), (OPEN, 100)]
    await bill(4, 10, 260)
    assert await standing(client, first, second, due_last) == [(PAID, 0)] * 3
    assert (await bill(-9, 130)).open_minor == 30


async def test_one_customers_money_pays_nothing_of_anothers(client: Client) -> None:
    """Credit of one customer leaves the bills of another open."""
    owed = await create_bill(client, external_id="7")
    await create_bill(client, external_id="8", paid_minor=5000)
    assert await standing(client, owed) == [(OPEN, 1000)]


async def test_a_payment_changes_the_etag_of_what_it_pays(client: Client) -> None:
    """A bill that another bill's payment pays has another etag; one that it doesn't has not."""
    paid = await create_bill(client, external_id="7")
    other = await create_bill(client, external_id="8")
    await create_bill(client, 0, external_id="7", paid_minor=10)
    assert (await get(client, paid.id)).etag != paid.etag
    assert (await get(client, other.id)).etag == other.etag


@pytest.mark.parametrize("paid", [0, 999, 1001])
async def test_a_walk_in_pays_exactly(client: Client, paid: int) -> None:
    """A bill of nobody is refused unless its payments sum up to its total."""
    refusal_ = await refused(client, bill_of(paid_minor=paid))
    assert refusal_.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal_.reason == "WALK_IN_NOT_SETTLED"
    assert dict(refusal_.info.metadata) == {"total_minor": "1000", "paid_minor": str(paid)}
    assert list(refusal_.fields) == ["bill.payments"]


async def test_a_walk_in_may_pay_in_parts_or_nothing_for_nothing(client: Client) -> None:
    """Several payments settle a walk-in's bill, and one of zero needs none."""
    parts = [payment(400), payment(600, method=PaymentMethod.PAYMENT_METHOD_CARD)]
    assert (await create_bill(client, payments=parts)).status == PAID
    free = await create_bill(client, 0)
    assert (free.status, free.total_minor, free.customer_id) == (PAID, 0, "")


@pytest.mark.parametrize(
    "fields, field, reason",
    [
        ({"currency": "EUR"}, "bill.currency", "CURRENCY_MISMATCH"),
        ({"expected_total_minor": 999}, "bill.expected_total_minor", "TOTAL_MISMATCH"),
        ({"lines": [line(10, discount_minor=11)]}, "bill.lines[0].discount_minor", "FIELD_INVALID"),
        (
            {"lines": [line(10**12, quantity_milli=10**9)]},
            "bill.lines",
            "FIELD_INVALID",
        ),
        ({"phone": "12"}, "bill.phone", "PHONE_INVALID"),
        ({"customer_id": str(uuid4())}, "bill.customer_id", "CUSTOMER_NOT_FOUND"),
        ({"due_day": "2024-03-09"}, "bill.due_day", "FIELD_INVALID"),
        ({"due_day": "2024-02-30"}, "bill.due_day", "FIELD_INVALID"),
        (
            {"bill_time": instant(datetime.now(UTC) + timedelta(days=1, minutes=5))},
            "bill.bill_time",
            "FIELD_INVALID",
        ),
        (
            {"payments": [payment(1, pay_time=instant(datetime.now(UTC) + timedelta(days=2)))]},
            "bill.payments[0].pay_time",
            "FIELD_INVALID",
        ),
    ],
)
async def test_a_draft_that_cannot_be_is_refused(
    client: Client, fields: dict[str, Any], field: str, reason: str
) -> None:
    """A draft against the merchant, itself or the clock is refused, with the field that says it."""
    usual: dict[str, Any] = {"external_id": "7", "bill_time": instant(NOON)}
    if fields.keys() & {"phone", "customer_id"}:
        del usual["external_id"]
    refusal_ = await refused(client, bill_of(**usual | fields))
    assert refusal_.reason == reason
    assert list(refusal_.fields) == [field]
    # Nothing was taken: neither a number nor the external id.
    assert (await create_bill(client, external_id="7")).number == 1


@pytest.mark.parametrize(
    "time_zone, instant_, day",
    [
        ("America/New_York", "2024-03-10T04:59:59.999999Z", "2024-03-09"),
        ("America/New_York", "2024-03-10T05:00:00Z", "2024-03-10"),
        # That day had 23 hours.
        ("America/New_York", "2024-03-11T03:59:59Z", "2024-03-10"),
        ("America/New_York", "2024-03-11T04:00:00Z", "2024-03-11"),
        ("America/New_York", "2024-11-04T04:59:59Z", "2024-11-03"),
        ("Asia/Kolkata", "2024-02-28T18:29:59Z", "2024-02-28"),
        ("Asia/Kolkata", "2024-02-28T18:30:00Z", "2024-02-29"),
        ("Pacific/Kiritimati", "2023-12-31T09:59:59Z", "2023-12-31"),
        ("Pacific/Kiritimati", "2023-12-31T10:00:00Z", "2024-01-01"),
        # Samoa had no 30 December 2011.
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31"),
        # Morocco is an hour ahead of UTC, but not in Ramadan.
        ("Africa/Casablanca", "2024-03-09T23:00:00Z", "2024-03-10"),
        ("Africa/Casablanca", "2024-03-11T23:59:59Z", "2024-03-11"),
        # The clocks went from midnight to 1:00, and from midnight back to 23:00.
        ("America/Sao_Paulo", "2018-11-04T02:59:59Z", "2018-11-03"),
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04"),
        ("America/Sao_Paulo", "2018-02-18T02:30:00Z", "2018-02-17"),
    ],
)
async def test_the_business_day_is_the_merchants(
    service: Service, time_zone: str, instant_: str, day: str
) -> None:
    """A bill's day is the date in the merchant's time zone, and it may be due on it."""
    merchant_id = await service.create_merchant(time_zone=time_zone)
    async with service.client(merchant_id) as client:
        when = instant(datetime.fromisoformat(instant_))
        made = await create_bill(client, external_id="7", bill_time=when, due_day=day)
        assert made.business_day == day


async def test_an_import_is_sent_again_as_a_whole(client: Client) -> None:
    """Bills that are there stay, the rest is created; its trailer has the revision."""
    batches = [
        [bill_of(id=str(uuid4()), external_id=str(at % 3)) for at in range(10)] for _ in range(3)
    ]
    first = await import_bills(client, *batches[:2])
    assert (first.created_bills, first.existing_bills) == (20, 0)
    call = client.bills.ImportBills(iter([ImportBillsRequest(bills=batch) for batch in batches]))
    answer = await call
    assert (answer.created_bills, answer.existing_bills) == (10, 20)
    assert (await trailers(call))["patron-revision"] == answer.revision != first.revision
    numbers = [(await get(client, draft.id)).number for batch in batches for draft in batch]
    assert numbers == list(range(1, 31))


async def test_a_refused_batch_leaves_the_ones_before_it(client: Client) -> None:
    """A batch is created whole or not at all; the error names the batch and the place in it."""
    good = [bill_of(id=str(uuid4()), paid_minor=1000) for _ in range(3)]
    bad = [bill_of(id=str(uuid4()), paid_minor=1000), bill_of(id=str(uuid4()), paid_minor=1)]
    refusal_ = await refusal(import_bills(client, good, bad, good))
    assert refusal_.reason == "WALK_IN_NOT_SETTLED"
    assert refusal_.info.metadata["batch"] == "1"
    assert list(refusal_.fields) == ["bills[1].payments"]
    assert (await get(client, good[2].id)).number == 3
    assert (
        await refusal(client.bills.GetBill(GetBillRequest(bill_id=bad[0].id)))
    ).reason == "BILL_NOT_FOUND"


async def test_an_import_of_another_draft_is_refused(client: Client) -> None:
    """A bill whose id is another draft's is ALREADY_EXISTS, at its place."""
    made = await create_bill(client, paid_minor=1000)
    drafts = [bill_of(id=str(uuid4())), bill_of(id=made.id, paid_minor=1000, note="Another")]
    for draft in drafts:
        draft.external_id = "7"
    refusal_ = await refusal(import_bills(client, drafts))
    assert refusal_.code is grpc.StatusCode.ALREADY_EXISTS
    assert refusal_.reason == "BILL_ALREADY_EXISTS"
    assert list(refusal_.fields) == ["bills[1].id"]


async def test_an_import_of_nothing_is_refused(client: Client) -> None:
    """An import without a batch is INVALID_ARGUMENT."""
    refusal_ = await refusal(import_bills(client))
    assert refusal_.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal_.reason == "FIELD_INVALID"
