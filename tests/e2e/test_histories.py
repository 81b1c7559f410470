"""Whatever a merchant's customers do, every figure is what a recomputation makes of the bills."""

import asyncio
import itertools
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given, note, seed, settings
from hypothesis import strategies as st

from patron.analytics.v1.analytics_pb2 import CustomerRanking, Interval, Period
from patron.analytics.v1.analytics_service_pb2 import (
    GetSummaryRequest,
    GetTimeSeriesRequest,
    ListTopCustomersRequest,
)
from patron.bill.v1.bill_pb2 import BillDraft, PaymentMethod
from patron.bill.v1.bill_service_pb2 import (
    CreateBillRequest,
    GetBillRequest,
    ImportBillsRequest,
    ListBillsRequest,
)
from patron.customer.v1.customer_pb2 import CustomerDraft
from patron.customer.v1.customer_service_pb2 import CreateCustomerRequest
from server.storage.merchants import Merchants
from tests.support.bills import instant, line, payment, trailers
from tests.support.oracle import INTERVALS, RANKINGS, Books, Sale, total_of
from tests.support.service import Client, Service
from tests.support.verified import differences_of, low_merchant_id

SEED = int(os.environ.get("HISTORIES_SEED", "1997"))
"""Every run makes the same histories, so that a change is judged by itself; a seed makes others."""
HISTORIES = int(os.environ.get("HISTORIES", "200"))

# Each zone with days around which its clocks or its calendar do something.
ZONES = {
    "America/New_York": [date(2024, 3, 8), date(2024, 10, 31), date(2023, 12, 29)],
    "Asia/Kolkata": [date(2024, 2, 27)],
    # They left out a whole day, to be on the other side of the date line.
    "Pacific/Kiritimati": [date(1994, 12, 29), date(2024, 1, 30)],
    "Pacific/Apia": [date(2011, 12, 28)],
    # Its clocks change for Ramadan, and those of São Paulo changed at midnight.
    "Africa/Casablanca": [date(2024, 3, 8), date(2024, 4, 12)],
    "America/Sao_Paulo": [date(2018, 2, 15), date(2018, 11, 2)],
    "Australia/Lord_Howe": [date(2024, 4, 5)],
}
CLOCKS = [
    time(0),
    time(0, 0, 0, 1),
    time(1, 30),
    time(1, 30, fold=1),
    time(2, 30),
    time(12),
    time(23, 30, fold=1),
    time(23, 59, 59, 999999),
]
# Whom a bill is for: who it is, and how the draft says so. Ann is known from the start and may be
# named in every way, Bob is known by his id alone; the others come with their first bills.
ANN, BOB, CLEO, DAN, WALK_IN = "Ann", "Bob", "Cleo", "Dan", None
WAYS: list[tuple[str | None, dict[str, Any]]] = [
    (WALK_IN, {}),
    (ANN, {"customer_id": "a0000000-0000-4000-8000-000000000001"}),
    (ANN, {"phone": "(415) 555-2671"}),
    (ANN, {"external_id": "ann"}),
    (BOB, {"customer_id": "b0000000-0000-4000-8000-000000000002"}),
    (CLEO, {"phone": "+1 415 555 2672", "customer_name": "Cleo"}),
    (CLEO, {"phone": "415.555.2672"}),
    (DAN, {"external_id": "dan"}),
]
KNOWN = [
    CustomerDraft(id=WAYS[1][1]["customer_id"], phone="+14155552671", external_id="ann"),
    CustomerDraft(id=WAYS[4][1]["customer_id"]),
]


@dataclass(frozen=True)
class Step:
    """What an app sends: one bill by CreateBill, or a batch of them by ImportBills."""

    bills: list[int]
    """Which of the history's drafts; the ones before it were sent before."""
    alone: bool
    again: int | None
    """Which step's request is repeated after it, counted back from it."""
    anew: bool
    """Whether the repetition is a new request for the same drafts."""


@dataclass(frozen=True)
class History:
    """What one merchant lives through, and what is asked about it in the end."""

    time_zone: str
    drafts: list[tuple[str | None, BillDraft]]
    steps: list[Step]
    periods: list[tuple[date, date]]
    fields: list[str] | None
    page_size: int
    luck: int

    def __repr__(self) -> str:
        drafts = "\n".join(f"{who}: {str(draft)!r}" for who, draft in self.drafts)
        return f"{self.time_zone}\n{drafts}\n{self.steps} {self.periods}"


def _uuid(luck: random.Random) -> str:
    return str(UUID(int=luck.getrandbits(128), version=4))


_OFFSETS = st.one_of(st.sampled_from([0, 1, 2, 2]), st.integers(0, 70))
_LINES = st.lists(
    st.builds(
        line,
        st.sampled_from([100, 100, 0, 5, 333, 1000]),
        quantity_milli=st.sampled_from([1000, 1000, 1000, 500, 1, 1500]),
        tax_minor=st.sampled_from([0, 0, 0, 19]),
    ),
    min_size=1,
    max_size=2,
)


_FIELDS = st.sampled_from(sorted(Books("UTC").summary(date(2024, 1, 1), date(2024, 1, 1))))


@st.composite
def _payments(draw: st.DrawFn, total: int, who: str | None) -> list[int]:
    """Return the amounts of the payments of a bill."""
    if who is WALK_IN:
        paid = total
    else:
        paid = draw(st.sampled_from([0, 0, total // 2, total // 2, total, total + 100, total * 3]))
    first = draw(st.sampled_from([0, 0, paid // 3]))
    return [amount for amount in (first, paid - first) if amount]


@st.composite
def _drafts(
    draw: st.DrawFn, zone: str, first: date, ids: random.Random
) -> tuple[str | None, BillDraft]:
    def somewhen(after: date) -> datetime:
        day = after + timedelta(days=draw(_OFFSETS))
        clock = draw(st.sampled_from(CLOCKS))
        # In UTC and back: a time that the clocks leave out becomes one that they show.
        return datetime.combine(day, clock, ZoneInfo(zone)).astimezone(UTC)

    who, way = draw(st.sampled_from(WAYS))
    lines = draw(_LINES)
    draft = BillDraft(id=_uuid(ids), currency="USD", lines=lines, **way)
    billed = somewhen(first)
    draft.bill_time.CopyFrom(instant(billed))
    for amount in draw(_payments(total_of(lines), who)):
        method = draw(st.sampled_from(PaymentMethod.values()[1:]))
        paid = payment(amount, id=_uuid(ids), method=method)
        if draw(st.booleans()):
            paid.pay_time.CopyFrom(instant(somewhen(first - timedelta(days=20))))
        draft.payments.append(paid)
    if draw(st.booleans()):
        day = billed.astimezone(ZoneInfo(zone)).date()
        draft.due_day = str(day + timedelta(days=draw(st.integers(0, 40))))
    if draw(st.booleans()):
        draft.expected_total_minor = total_of(lines)
    return who, draft


@st.composite
def _steps(draw: st.DrawFn, drafts: int) -> list[Step]:
    steps: list[Step] = []
    sent = 0
    while sent < drafts:
        alone = draw(st.booleans())
        bills = list(range(sent, min(drafts, sent + (1 if alone else draw(st.integers(1, 9))))))
        sent = bills[-1] + 1
        if not alone and draw(st.booleans()):
            # One that is there already, or that this very batch has: ids are unique within it.
            bills.insert(draw(st.integers(0, len(bills))), draw(st.integers(0, sent - 1)))
            bills = list(dict.fromkeys(bills))
        again = draw(st.none() | st.integers(0, len(steps)))
        steps.append(Step(sorted(bills), alone, again, draw(st.booleans())))
    return steps


@st.composite
def _periods(draw: st.DrawFn, first: date) -> list[tuple[date, date]]:
    """Return some periods: any, a day, and whole months or a day more or less."""
    any_day = first + timedelta(days=draw(st.integers(-25, 60)))
    other_day = any_day + timedelta(days=draw(st.integers(1, 60)))
    day = first + timedelta(days=draw(_OFFSETS))
    month = (first + timedelta(days=draw(st.integers(0, 70)))).replace(day=1)
    months = draw(st.integers(1, 3))
    after = (month + timedelta(days=31 * months)).replace(day=1)
    last = after - timedelta(days=draw(st.sampled_from([1, 1, 2, 0])))
    return [(any_day, other_day), (day, day), (month, last)]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Return any history of a merchant."""
    zone = draw(st.sampled_from(list(ZONES)))
    first = draw(st.sampled_from(ZONES[zone]))
    luck = draw(st.integers(0, 2**32))
    ids = random.Random(luck)
    # A number that is drawn makes for longer histories than a list of any length.
    drafts = [draw(_drafts(zone, first, ids)) for _ in range(draw(st.integers(1, 25)))]
    return History(
        time_zone=zone,
        drafts=drafts,
        steps=draw(_steps(len(drafts))),
        periods=draw(_periods(first)),
        fields=draw(st.none() | st.lists(_FIELDS, min_size=1, unique=True)),
        page_size=draw(st.sampled_from([1, 2, 3, 7, 500])),
        luck=luck,
    )


class Shop:
    """A merchant that lives through a history; the books are kept beside."""

    def __init__(self, client: Client, history: History) -> None:
        self.client = client
        self.history = history
        self.books = Books(history.time_zone)
        self.entered: dict[int, Sale] = {}
        self._answers: list[Any] = []
        self._requests: list[CreateBillRequest | ImportBillsRequest] = []
        self._luck = random.Random(history.luck + 1)

    async def live(self) -> None:
        """Send all that the history says, and check each answer."""
        for draft in KNOWN:
            await self.client.customers.CreateCustomer(
                CreateCustomerRequest(request_id=_uuid(self._luck), customer=draft)
            )
        for step in self.history.steps:
            await self._send(step)
            if step.again is not None:
                await self._send_again(len(self._requests) - 1 - step.again, anew=step.anew)

    async def _send(self, step: Step) -> None:
        drafts = [self.history.drafts[at][1] for at in step.bills]
        new = [at for at in step.bills if at not in self.entered]
        for at in new:
            who, draft = self.history.drafts[at]
            self.entered[at] = self.books.enter(draft, who, datetime.now(UTC))
        if step.alone:
            (draft,) = drafts
            creating = CreateBillRequest(request_id=_uuid(self._luck), bill=draft)
            answer = await self.client.bills.CreateBill(creating)
            check_bill(answer.bill, self.entered[step.bills[0]], draft)
            self._requests.append(creating)
        else:
            importing = ImportBillsRequest(bills=drafts)
            answer = await self.client.bills.ImportBills(iter([importing]))
            assert answer.created_bills == len(new)
            assert answer.existing_bills == len(drafts) - len(new)
            self._requests.append(importing)
        self._answers.append(answer)

    async def _send_again(self, at: int, *, anew: bool) -> None:
        """Repeat a request, which must change nothing."""
        request, first = self._requests[at], self._answers[at]
        if isinstance(request, ImportBillsRequest):
            answer = await self.client.bills.ImportBills(iter([request]))
            assert answer.created_bills == 0
            assert answer.existing_bills == len(request.bills)
        elif anew:
            other = CreateBillRequest(request_id=_uuid(self._luck), bill=request.bill)
            answer = (await self.client.bills.CreateBill(other)).bill
            sale = next(sale for sale in self.books.sales if sale.id == request.bill.id)
            check_bill(answer, sale, request.bill)
        else:
            call = self.client.bills.CreateBill(request)
            assert (await call).bill == first.bill
            assert (await trailers(call))["patron-replayed"] == "true"


def check_bill(bill: Any, sale: Sale, draft: BillDraft) -> None:
    """Check that a bill is shown as the draft and the books have it."""
    shown = (bill.id, bill.number, bill.status, bill.total_minor, bill.open_minor)
    assert shown == (sale.id, sale.number, sale.status, sale.total_minor, sale.open_minor)
    assert bill.business_day == str(sale.day)
    assert bill.due_day == draft.due_day
    assert bill.bill_time == draft.bill_time
    assert bill.lines == draft.lines
    assert bool(bill.customer_id) == (sale.customer is not None)
    assert [(each.id, each.amount_minor, each.method) for each in bill.payments] == [
        (each.id, each.amount_minor, each.method) for each in draft.payments
    ]


async def check_bills(shop: Shop) -> dict[str, str]:
    """Check what is shown of bills; return the ids of the customers by their names."""
    bills = shop.client.bills
    listed: list[Any] = []
    asked = ListBillsRequest(page_size=shop.history.page_size)
    while True:
        answer = await bills.ListBills(asked)
        listed += answer.bills
        asked.page_token = answer.next_page_token
        if not asked.page_token:
            break
    order = sorted(shop.books.sales, key=lambda sale: (sale.day, sale.number), reverse=True)
    drafts = {draft.id: draft for _, draft in shop.history.drafts}
    for bill, sale in zip(listed, order, strict=True):
        check_bill(bill, sale, drafts[sale.id])
    last = listed[-1]
    assert (await bills.GetBill(GetBillRequest(bill_id=last.id))).bill == last
    pairs = {
        (sale.customer, bill.customer_id)
        for bill, sale in zip(listed, order, strict=True)
        if sale.customer
    }
    ids = {name: id_ for name, id_ in pairs if name}
    assert len(pairs) == len(ids) == len(set(ids.values()))
    for name, id_ in itertools.islice(ids.items(), 1):
        from_day, to_day = shop.history.periods[0]
        answer = await bills.ListBills(
            ListBillsRequest(customer_id=id_, from_day=str(from_day), to_day=str(to_day))
        )
        assert [bill.number for bill in answer.bills] == [
            sale.number
            for sale in order
            if sale.customer == name and from_day <= sale.day <= to_day
        ]
    return ids


async def check_summaries(shop: Shop) -> None:
    """Check the summaries of the history's periods, whole and masked, and of the ones before."""
    for at, (first, last) in enumerate(shop.history.periods):
        request = GetSummaryRequest(period=Period(from_day=str(first), to_day=str(last)))
        fields = shop.history.fields if at == 0 else None
        if fields is not None:
            request.read_mask.CopyFrom(FieldMask(paths=fields))
        answer = await shop.client.analytics.GetSummary(request)
        before = first - timedelta(days=(last - first).days + 1), first - timedelta(days=1)
        for shown, (from_day, to_day) in (
            (answer.current, (first, last)),
            (answer.previous, before),
        ):
            assert (shown.period.from_day, shown.period.to_day) == (str(from_day), str(to_day))
            kept = shop.books.summary(from_day, to_day)
            wanted = {
                name: value if fields is None or name in fields else 0
                for name, value in kept.items()
            }
            assert {name: getattr(shown, name) for name in kept} == wanted
        assert answer.basis.time_zone == shop.history.time_zone


async def check_series(shop: Shop) -> None:
    """Check the time series of the history's periods."""
    for interval, (first, last) in zip(INTERVALS, shop.history.periods, strict=True):
        # A day of days says little, a day of weeks is an edge: each interval gets another period.
        answer = await shop.client.analytics.GetTimeSeries(
            GetTimeSeriesRequest(
                period=Period(from_day=str(first), to_day=str(last)),
                interval=Interval.Value(f"INTERVAL_{interval}"),
            )
        )
        expected = shop.books.series(first, last, interval)
        shown = [
            {
                name: (bucket.period.from_day, bucket.period.to_day)
                if name == "period"
                else getattr(bucket, name)
                for name in expected[0]
            }
            for bucket in answer.buckets
        ]
        assert shown == expected


async def check_rankings(shop: Shop, ids: dict[str, str]) -> None:
    """Check all rankings, over the lifetime and over a month."""
    first = shop.books.sales[0].day
    months = (None, (first.year, first.month))
    await asyncio.gather(
        *(check_ranking(shop, ids, ranking, month) for ranking in RANKINGS for month in months)
    )


async def check_ranking(
    shop: Shop, ids: dict[str, str], ranking: str, month: tuple[int, int] | None
) -> None:
    """Check the pages of one ranking."""
    expected = shop.books.top(ranking, ids, month)
    asked = ListTopCustomersRequest(
        ranking=CustomerRanking.Value(f"CUSTOMER_RANKING_{ranking}"),
        month="{}-{:02}".format(*month) if month else "",
        page_size=shop.history.page_size,
    )
    shown: list[Any] = []
    while True:
        answer = await shop.client.analytics.ListTopCustomers(asked)
        shown += answer.customers
        asked.page_token = answer.next_page_token
        if not asked.page_token:
            break
    fields = expected[0].keys() if expected else ()
    assert [{name: getattr(each, name) for name in fields} for each in shown] == expected


TABLES = {
    "customer_stats": "customer_id, bills, sales_minor, outstanding_minor, credit_minor, "
    "visit_days, first_day, last_day",
    "customer_month": "month, customer_id, bills, sales_minor, outstanding_minor, last_day",
    "customer_day": "customer_id, day, bills, sales_minor",
    "day_stats": "day, bills, sales_minor, walk_in_bills, paid_minor, outstanding_minor, "
    "active_customers, new_customers",
    "activity_gap": "day, previous_day, customers",
    "activity_gap_month": "month, previous_month, customers",
    "open_debit": "entry_id, customer_id, open_minor",
    "free_credit": "customer_id, entered_on, free_minor",
}
_ROWS = "SELECT {}".format(
    ", ".join(
        f"(SELECT json_agg(json_build_array({columns})) FROM {table} WHERE merchant_id = $1)"
        for table, columns in TABLES.items()
    )
)


async def check_tables(
    shop: Shop, ids: dict[str, str], database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """Check the kept totals themselves, and that debits and allocations sum up to them."""
    row = await database.fetchrow(_ROWS, shop.client.merchant_id)
    assert row is not None
    kept = {
        table: Counter(map(tuple, json.loads(text or "[]")))
        for table, text in zip(TABLES, row, strict=True)
    }
    for gaps in ("activity_gap", "activity_gap_month"):
        kept[gaps] = Counter(each for each in kept[gaps].elements() if each[-1])
    expected = shop.books.rollups(ids)
    free = expected.pop("free_credit")
    assert set(kept.pop("free_credit").items()) == free
    assert kept == {table: Counter(rows) for table, rows in expected.items()}
    revision, numbers = await _merchant(shop, database)
    assert numbers == len(shop.books.sales) + 1
    # Two customers and one write for each step that had a new bill.
    assert revision == len(KNOWN) + len(shop.history.steps)


async def _merchant(shop: Shop, database: "asyncpg.Connection[asyncpg.Record]") -> tuple[int, int]:
    row = await database.fetchrow(
        "SELECT revision, next_bill_number FROM merchant WHERE merchant_id = $1",
        shop.client.merchant_id,
    )
    assert row is not None
    return row["revision"], row["next_bill_number"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(service: Service) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Lend a connection as the maintenance role."""
    async with service.database() as connection:
        yield connection


# Other tests cover the same lines: measuring that here would take as long again.
@pytest.mark.no_cover
@pytest.mark.timeout(300)
@seed(SEED)
@settings(max_examples=HISTORIES, deadline=None, print_blob=True)
@given(history=histories())
async def test_every_figure_follows_from_the_bills(
    service: Service, database: "asyncpg.Connection[asyncpg.Record]", history: History
) -> None:
    """Bills, reports and the kept totals equal a recomputation, whatever the history."""
    note(f"HISTORIES_SEED={SEED}")
    merchant_id = low_merchant_id()
    await Merchants(database).create(merchant_id, "A shop", "USD", history.time_zone, "US")
    async with service.client(merchant_id) as client:
        shop = Shop(client, history)
        await shop.live()
        ids = await check_bills(shop)
        await asyncio.gather(check_summaries(shop), check_series(shop), check_rankings(shop, ids))
    await check_tables(shop, ids, database)
    assert not await differences_of(service.urls.maintenance, merchant_id)
