"""Lists in pages, of customers, bills and rankings."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio

from patron.analytics.v1.analytics_pb2 import (
    CUSTOMER_RANKING_BILLS,
    CUSTOMER_RANKING_SALES,
)
from patron.analytics.v1.analytics_service_pb2 import ListTopCustomersRequest
from patron.bill.v1.bill_service_pb2 import ListBillsRequest
from patron.customer.v1.customer_service_pb2 import ListCustomersRequest
from tests.support.bills import bill_of, import_bills, instant
from tests.support.chain_server import refusal
from tests.support.drafts import create_customer
from tests.support.service import Client, Service

CUSTOMERS = 9
FIRST_DAY = datetime(2024, 3, 1, 17, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(service: Service) -> Any:
    """Lend a client of a merchant with nine customers and thirty bills on ten days."""
    async with service.client() as client:
        for at in range(CUSTOMERS):
            await client.customers.CreateCustomer(create_customer(external_id=str(at)))
        bills = [
            bill_of(
                100 * (at % 4),
                id=str(uuid4()),
                external_id=str(at % CUSTOMERS),
                bill_time=instant(FIRST_DAY + timedelta(days=7 * at % 10)),
            )
            for at in range(30)
        ]
        await import_bills(client, bills)
        yield client


async def customers(client: Client, request: ListCustomersRequest) -> tuple[Any, str]:
    """Return a page of customers and the next token."""
    answer = await client.customers.ListCustomers(request)
    return answer.customers, answer.next_page_token


async def bills(client: Client, request: ListBillsRequest) -> tuple[Any, str]:
    """Return a page of bills and the next token."""
    answer = await client.bills.ListBills(request)
    return answer.bills, answer.next_page_token


async def top(client: Client, request: ListTopCustomersRequest) -> tuple[Any, str]:
    """Return a page of a ranking and the next token."""
    answer = await client.analytics.ListTopCustomers(request)
    return answer.customers, answer.next_page_token


Lister = Callable[[Client, Any], Any]
LISTS: list[tuple[Lister, Any, int]] = [
    (customers, ListCustomersRequest(), CUSTOMERS),
    (bills, ListBillsRequest(), 30),
    (bills, ListBillsRequest(from_day="2024-03-03", to_day="2024-03-05"), 9),
    (top, ListTopCustomersRequest(ranking=CUSTOMER_RANKING_SALES), CUSTOMERS),
    (top, ListTopCustomersRequest(ranking=CUSTOMER_RANKING_BILLS, month="2024-03"), CUSTOMERS),
]
IDS = ["customers", "bills", "bills-of-days", "top", "top-of-month"]


def copy(request: Any, **changes: Any) -> Any:
    """Return a request with changes."""
    copied = type(request)()
    copied.CopyFrom(request)
    copied.MergeFrom(type(request)(**changes))
    return copied


async def pages(client: Client, lister: Lister, request: Any, size: int) -> list[list[Any]]:
    """Return all pages of a list."""
    found = []
    token = ""
    while True:
        items, token = await lister(client, copy(request, page_size=size, page_token=token))
        found.append(list(items))
        if not token:
            return found


@pytest.mark.parametrize("lister, request_, count", LISTS, ids=IDS)
async def test_pages_of_any_size_make_up_the_list(
    shop: Client, lister: Lister, request_: Any, count: int
) -> None:
    """Whatever the size of the pages, every item comes once, in order, and no page is empty."""
    [whole] = await pages(shop, lister, request_, 500)
    assert len(whole) == count
    for size in range(1, count + 2):
        found = await pages(shop, lister, request_, size)
        assert [item for page in found for item in page] == whole
        assert [len(page) for page in found[:-1]] == [size] * ((count - 1) // size)


async def test_customers_come_in_the_order_of_their_creation(shop: Client) -> None:
    """The first created customer is the first of the list."""
    found, _ = await customers(shop, ListCustomersRequest())
    assert [each.external_id for each in found] == [str(at) for at in range(CUSTOMERS)]


async def test_bills_come_latest_day_first(shop: Client) -> None:
    """Bills are listed by business day, then by number, both descending."""
    found, _ = await bills(shop, ListBillsRequest())
    keys = [(each.business_day, each.number) for each in found]
    assert keys == sorted(keys, reverse=True)
    assert {number for _, number in keys} == set(range(1, 31))


@pytest.mark.parametrize(
    "from_day, to_day, days",
    [
        ("", "2024-03-02", [1, 2]),
        ("2024-03-10", "", [10]),
        ("2024-03-04", "2024-03-04", [4]),
        ("2024-04-01", "", []),
    ],
)
async def test_bills_are_filtered_by_day(
    shop: Client, from_day: str, to_day: str, days: list[int]
) -> None:
    """Both bounds are included, and a missing one is none."""
    found, token = await bills(shop, ListBillsRequest(from_day=from_day, to_day=to_day))
    assert {each.business_day for each in found} == {f"2024-03-{day:02}" for day in days}
    assert len(found) == 3 * len(days)
    assert token == ""


async def test_days_in_the_wrong_order_are_refused(shop: Client) -> None:
    """Days that no bill can be between are a mistake, not an empty list."""
    request = ListBillsRequest(from_day="2024-03-05", to_day="2024-03-04")
    assert list((await refusal(shop.bills.ListBills(request))).fields) == ["to_day"]


async def test_bills_are_filtered_by_customer(shop: Client) -> None:
    """Only the bills of the customer are listed, within the days; nobody's is NOT_FOUND."""
    everyone, _ = await customers(shop, ListCustomersRequest())
    everything, _ = await bills(shop, ListBillsRequest())
    for customer in everyone:
        wanted = ListBillsRequest(customer_id=customer.id, from_day="2024-03-04")
        found, _ = await bills(shop, wanted)
        assert list(found) == [
            bill
            for bill in everything
            if bill.customer_id == customer.id and bill.business_day >= "2024-03-04"
        ]
    refused = await refusal(bills(shop, ListBillsRequest(customer_id=str(uuid4()))))
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.reason == "CUSTOMER_NOT_FOUND"


async def test_lists_of_nothing_are_one_empty_page(service: Service) -> None:
    """A new merchant's lists are empty and end at once."""
    async with service.client() as client:
        for lister, request, _ in LISTS:
            assert await pages(client, lister, request, 0) == [[]]


async def test_a_token_is_good_for_another_page_size(shop: Client) -> None:
    """The size of the pages may change on the way."""
    first, token = await bills(shop, ListBillsRequest(page_size=7))
    rest, end = await bills(shop, ListBillsRequest(page_size=10_000, page_token=token))
    assert (len(first), len(rest), end) == (7, 23, "")


async def invalid(call: Any) -> None:
    """Check that a call is refused for its token."""
    refused = await refusal(call)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "PAGE_TOKEN_INVALID"
    assert list(refused.fields) == ["page_token"]


async def test_a_token_is_bound_to_its_arguments(shop: Client, service: Service) -> None:
    """With another filter, method or merchant a token is INVALID_ARGUMENT."""
    _, token = await bills(shop, ListBillsRequest(page_size=3, from_day="2024-03-02"))
    everyone, of_customers = await customers(shop, ListCustomersRequest(page_size=1))
    _, of_top = await top(
        shop, ListTopCustomersRequest(ranking=CUSTOMER_RANKING_SALES, page_size=1)
    )
    assert all((token, of_customers, of_top))
    for other in (
        ListBillsRequest(page_token=token),
        ListBillsRequest(page_token=token, from_day="2024-03-03"),
        ListBillsRequest(page_token=token, from_day="2024-03-02", customer_id=everyone[0].id),
        ListBillsRequest(page_token=of_customers),
    ):
        await invalid(bills(shop, other))
    await invalid(customers(shop, ListCustomersRequest(page_token=token)))
    for change in ({"month": "2024-03"}, {"ranking": CUSTOMER_RANKING_BILLS}):
        request: dict[str, Any] = {"ranking": CUSTOMER_RANKING_SALES, "page_token": of_top} | change
        await invalid(top(shop, ListTopCustomersRequest(**request)))
    async with service.client() as stranger:
        await invalid(customers(stranger, ListCustomersRequest(page_token=of_customers)))


async def test_a_token_cannot_be_made_up(shop: Client) -> None:
    """A token that was changed, cut or invented is INVALID_ARGUMENT."""
    _, token = await bills(shop, ListBillsRequest(page_size=3))
    raw = base64.urlsafe_b64decode(token)
    for made_up in (
        "x",
        "!",
        token[:-4],
        token[:20],
        base64.urlsafe_b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode(),
        base64.urlsafe_b64encode(bytes(16) + raw[16:]).decode(),
        base64.urlsafe_b64encode(b"").decode() or "====",
        "é" * 20,
    ):
        await invalid(bills(shop, ListBillsRequest(page_token=made_up)))


async def test_a_list_goes_on_while_bills_come(service: Service) -> None:
    """What comes during a walk through the pages neither repeats nor hides what was there."""
    async with service.client() as client:
        there = [
            bill_of(id=str(uuid4()), paid_minor=1000, bill_time=instant(FIRST_DAY))
            for _ in range(6)
        ]
        await import_bills(client, there)
        seen: list[str] = []
        token = ""
        while True:
            items, token = await bills(client, ListBillsRequest(page_size=2, page_token=token))
            seen += [each.id for each in items]
            if not token:
                break
            late = bill_of(id=str(uuid4()), paid_minor=1000, bill_time=instant(FIRST_DAY))
            await import_bills(client, [late])
        assert seen == [draft.id for draft in reversed(there)]


async def test_sizes_that_are_left_out_or_too_large(service: Service) -> None:
    """Size 0 is the default, and what is over the limit is lowered to it."""
    async with service.client() as client:
        for _ in range(2):
            batch = [
                bill_of(id=str(uuid4()), external_id=str(uuid4()), bill_time=instant(FIRST_DAY))
                for _ in range(500)
            ]
            await import_bills(client, batch)
        await import_bills(client, [bill_of(id=str(uuid4()), external_id=str(uuid4()))])
        ranked = ListTopCustomersRequest(ranking=CUSTOMER_RANKING_SALES)
        for lister, request, default, limit in (
            (customers, ListCustomersRequest(), 50, 1000),
            (bills, ListBillsRequest(), 50, 500),
            (top, ranked, 10, 500),
        ):
            for asked, given in ((0, default), (2**31 - 1, limit), (limit, limit)):
                items, token = await lister(client, copy(request, page_size=asked))
                assert len(items) == given
                assert token
