"""Many clients at once, clients that repeat themselves, and clients that give up."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import grpc
import grpc.aio
from google.rpc.error_details_pb2 import RetryInfo

from patron.bill.v1.bill_pb2 import BillDraft, BillStatus
from patron.bill.v1.bill_service_pb2 import GetBillRequest, ListBillsRequest
from patron.customer.v1.customer_service_pb2 import ListCustomersRequest
from server.storage.merchants import Merchants
from tests.support import drafts
from tests.support.bills import (
    bill_of,
    create_bill,
    creation,
    import_bills,
    payment,
    trailers,
)
from tests.support.chain_server import refusal
from tests.support.service import Client, Service
from tests.support.tables import content_of
from tests.support.verified import differences_of, low_merchant_id

CLIENTS = 50
_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'patron' AND wait_event_type = 'Lock' AND state = 'active'
"""
_LEFT_OPEN = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'patron' AND state LIKE 'idle in transaction%'
"""


@asynccontextmanager
async def crowd(service: Service, merchant_id: UUID) -> AsyncIterator[list[Client]]:
    """Lend fifty apps of one merchant on ten connections."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(service.client(merchant_id)) for _ in range(10)]
        yield [clients[at % 10] for at in range(CLIENTS)]


@asynccontextmanager
async def held(service: Service, merchant_id: UUID) -> AsyncIterator[None]:
    """Hold a merchant's row, as a writer does that does not come to its end."""
    async with service.database() as database, database.transaction():
        await database.execute(
            "SELECT 1 FROM merchant WHERE merchant_id = $1 FOR UPDATE", merchant_id
        )
        yield


async def until(service: Service, query: str, expected: int) -> None:
    """Wait until what the superuser counts is as expected."""
    url = service.urls.owner.replace("patron_owner@", "postgres@")
    end = time.monotonic() + 5
    async with service.database(url) as database:
        while (found := await database.fetchval(query)) != expected:
            assert time.monotonic() < end, found
            await asyncio.sleep(0.01)


async def numbers(client: Client) -> list[int]:
    """Return the numbers of all bills of a merchant, ascending."""
    answer = await client.bills.ListBills(ListBillsRequest(page_size=500))
    return sorted(bill.number for bill in answer.bills)


async def answered(call: Any) -> tuple[Any, dict[str, str]]:
    """Return the answer of a call and its trailers."""
    return await call, await trailers(call)


async def test_one_request_sent_by_fifty_makes_one_bill(service: Service, client: Client) -> None:
    """Fifty calls with one request id: one bill, equal answers, 49 of them marked as replays."""
    request = creation(bill_of(1250, phone="415 555 2671", payments=[payment(500)]), uuid4())
    async with crowd(service, client.merchant_id) as clients:
        answers = await asyncio.gather(
            *(answered(each.bills.CreateBill(request)) for each in clients)
        )
    assert len({message.SerializeToString(deterministic=True) for message, _ in answers}) == 1
    assert sum("patron-replayed" in sent for _, sent in answers) == CLIENTS - 1
    ((first, _), *_rest) = answers
    assert {sent["patron-revision"] for _, sent in answers} == {first.revision}
    assert await numbers(client) == [1]
    shown = await client.bills.GetBill(GetBillRequest(bill_id=first.bill.id))
    assert shown.bill == first.bill


async def test_one_new_phone_in_fifty_bills_makes_one_customer(service: Service) -> None:
    """Fifty bills for one new phone, written in six ways: one customer, numbers without gaps."""
    merchant_id = await service.create_merchant()
    written = [
        "+1 415-555-2671",
        "(415) 555 2671",
        "4155552671",
        "011 1 415 555 2671",
        "tel:+1-415-555-2671",
        "1.415.555.2671",
    ]
    async with crowd(service, merchant_id) as clients:
        bills = await asyncio.gather(
            *(
                create_bill(each, 100, phone=written[at % len(written)])
                for at, each in enumerate(clients)
            )
        )
        customers = await clients[0].customers.ListCustomers(ListCustomersRequest())
    assert [customer.phone for customer in customers.customers] == ["+14155552671"]
    assert {bill.customer_id for bill in bills} == {customers.customers[0].id}
    assert sorted(bill.number for bill in bills) == list(range(1, CLIENTS + 1))


async def test_one_new_external_id_in_fifty_bills_makes_one_customer(service: Service) -> None:
    """Fifty bills for one new external id, a half of them in batches: one customer."""
    merchant_id = low_merchant_id()
    async with service.database() as database:
        await add_merchant(database, merchant_id)
    async with crowd(service, merchant_id) as clients:
        await asyncio.gather(
            *(create_bill(each, 100, external_id="7") for each in clients[: CLIENTS // 2]),
            *(
                import_bills(each, [bill_of(100, id=str(uuid4()), external_id="7")])
                for each in clients[CLIENTS // 2 :]
            ),
        )
        customers = await clients[0].customers.ListCustomers(ListCustomersRequest())
        assert [customer.external_id for customer in customers.customers] == ["7"]
        assert await numbers(clients[0]) == list(range(1, CLIENTS + 1))
    assert not await differences_of(service.urls.maintenance, merchant_id)


async def add_merchant(database: "asyncpg.Connection[asyncpg.Record]", merchant_id: UUID) -> None:
    """Provision a merchant of a chosen id."""
    await Merchants(database).create(merchant_id, "A shop", "USD", "America/New_York", "US")


async def test_one_request_id_is_good_for_one_request(service: Service, client: Client) -> None:
    """A request id with another body, or another method, is refused, and nothing is written."""
    request = creation(bill_of(100, paid_minor=100))
    await client.bills.CreateBill(request)
    other = drafts.create_customer(name="Chen")
    other.request_id = request.request_id
    async with service.database() as database:
        before = await content_of(database, client.merchant_id)
        for call in (
            client.bills.CreateBill(
                creation(bill_of(101, paid_minor=101), UUID(request.request_id))
            ),
            client.customers.CreateCustomer(other),
        ):
            refused = await refusal(call)
            assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
            assert refused.reason == "REQUEST_ID_REUSED"
        assert await content_of(database, client.merchant_id) == before


async def test_a_failed_request_may_succeed_later(client: Client) -> None:
    """A refusal pins nothing: the same request succeeds once what it needs is there."""
    customer_id = str(uuid4())
    request = creation(bill_of(100, customer_id=customer_id))
    for _ in range(2):
        assert (await refusal(client.bills.CreateBill(request))).reason == "CUSTOMER_NOT_FOUND"
    await client.customers.CreateCustomer(drafts.create_customer(id=customer_id))
    answer, sent = await answered(client.bills.CreateBill(request))
    assert "patron-replayed" not in sent
    assert (answer.bill.customer_id, answer.bill.number) == (customer_id, 1)


async def test_a_replay_changes_nothing(service: Service, client: Client) -> None:
    """A replay writes nothing and gives the first answer, with the current revision beside it."""
    request = creation(bill_of(1000, external_id="7"))
    first = await client.bills.CreateBill(request)
    latest = await client.bills.CreateBill(creation(bill_of(0, external_id="7", paid_minor=1000)))
    async with service.database() as database:
        before = await content_of(database, client.merchant_id)
        again, sent = await answered(client.bills.CreateBill(request))
        assert await content_of(database, client.merchant_id) == before
    assert again == first
    assert sent == sent | {"patron-replayed": "true", "patron-revision": latest.revision}
    shown = await client.bills.GetBill(GetBillRequest(bill_id=first.bill.id))
    assert (first.bill.status, shown.bill.status) == (
        BillStatus.BILL_STATUS_OPEN,
        BillStatus.BILL_STATUS_PAID,
    )
    assert (await create_bill(client, paid_minor=1000)).number == 3


async def test_one_bill_id_is_good_for_one_draft(service: Service, client: Client) -> None:
    """The same draft under an id gives the bill as it is now; another draft is ALREADY_EXISTS."""
    draft = bill_of(1000, id=str(uuid4()), external_id="7")
    first = await client.bills.CreateBill(creation(draft))
    await create_bill(client, 0, external_id="7", paid_minor=400)
    async with service.database() as database:
        stored = "SELECT revision, next_bill_number FROM merchant WHERE merchant_id = $1"
        before = await database.fetchrow(stored, client.merchant_id)
        again, sent = await answered(client.bills.CreateBill(creation(draft)))
        assert await database.fetchrow(stored, client.merchant_id) == before
    assert "patron-replayed" not in sent
    assert (again.bill.number, again.bill.open_minor) == (first.bill.number, 600)
    assert again.bill.etag != first.bill.etag
    other = BillDraft()
    other.CopyFrom(draft)
    other.note = "changed"
    refused = await refusal(client.bills.CreateBill(creation(other)))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "BILL_ALREADY_EXISTS"
    assert list(refused.fields) == ["bill.id"]


async def test_one_payment_id_is_good_for_one_payment(client: Client) -> None:
    """A payment's id that another bill's payment has is ALREADY_EXISTS, and nothing is written."""
    paid = payment(100, id=str(uuid4()))
    await create_bill(client, 100, payments=[paid])
    refused = await refusal(client.bills.CreateBill(creation(bill_of(100, payments=[paid]))))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "PAYMENT_ALREADY_EXISTS"
    assert await numbers(client) == [1]


async def contended(client: Client, deadline: float | None = None) -> float:
    """Check that a bill is refused because of another write; return after how many seconds."""
    began = time.monotonic()
    creating = creation(bill_of(100, paid_minor=100))
    refused = await refusal(client.bills.CreateBill(creating, timeout=deadline))
    assert refused.code is grpc.StatusCode.ABORTED
    assert refused.reason == "WRITE_CONTENDED"
    assert refused.detail(RetryInfo).retry_delay.ToTimedelta().total_seconds() > 0
    return time.monotonic() - began


async def test_a_held_merchant_aborts_its_writers_and_nobody_else(
    service: Service, client: Client
) -> None:
    """While a merchant's row is held, its writer is told when to retry; others are served."""
    async with service.client() as other, held(service, client.merchant_id):
        # By the setting where there is no deadline, else after a half of it.
        patient = asyncio.create_task(contended(client))
        await until(service, _WAITING, 1)
        for _ in range(5):
            await create_bill(other, 100, paid_minor=100)
        assert await numbers(client) == []
        assert 4.9 < await patient < 6
        assert 0.5 < await contended(client, 1.2) < 0.9
    assert (await create_bill(client, 100, paid_minor=100)).number == 1


async def test_a_repetition_waits_for_the_first(service: Service, client: Client) -> None:
    """A repetition of a request that still runs waits for it and gets its answer."""
    request = creation(bill_of(100, paid_minor=100))
    async with held(service, client.merchant_id):
        calls = [asyncio.create_task(answered(client.bills.CreateBill(request))) for _ in range(2)]
        await until(service, _WAITING, 2)
    (one, _), (other, _) = await asyncio.gather(*calls)
    assert one == other


async def test_a_client_that_gives_up_leaves_nothing_behind(
    service: Service, client: Client
) -> None:
    """A call cancelled while it waits writes nothing and gives its connection back."""
    async with held(service, client.merchant_id):
        calls = [client.bills.CreateBill(creation(bill_of(100, paid_minor=100))) for _ in range(6)]
        await until(service, _WAITING, 2)
        for call in calls:
            call.cancel()
        await until(service, _WAITING, 0)
    await until(service, _LEFT_OPEN, 0)
    assert await numbers(client) == []
    assert (await create_bill(client, 100, paid_minor=100)).number == 1


async def test_clients_that_give_up_anywhere_leave_whole_bills_or_none(service: Service) -> None:
    """Whenever calls are cancelled, bills are whole, numbers have no gaps, and the pool is free."""
    merchant_id = low_merchant_id()
    async with service.database() as database:
        await add_merchant(database, merchant_id)
    luck = random.Random(18)

    async def give_up(call: Any) -> None:
        await asyncio.sleep(luck.uniform(0, 0.2))
        call.cancel()

    async with service.client(merchant_id) as client:
        calls = [
            client.bills.CreateBill(creation(bill_of(100, external_id=str(at % 3), paid_minor=40)))
            for at in range(60)
        ]
        await asyncio.gather(*map(give_up, calls[::2]))
        ended = await asyncio.gather(*calls, return_exceptions=True)
        cancelled = [isinstance(end, asyncio.CancelledError) for end in ended]
        assert 0 < sum(cancelled) < len(calls)
        assert cancelled == [isinstance(end, BaseException) for end in ended]
        # As many as the pool has connections, at once: none was lost.
        async with AsyncExitStack() as stack:
            others = [await stack.enter_async_context(service.client()) for _ in range(10)]
            await asyncio.gather(*(create_bill(each, paid_minor=1000) for each in others))
        await until(service, _LEFT_OPEN, 0)
        found = await numbers(client)
    assert found == list(range(1, len(found) + 1))
    assert not await differences_of(service.urls.maintenance, merchant_id)
