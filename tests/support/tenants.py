"""A merchant with something of everything, and what another merchant must not find of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import grpc

from patron.analytics.v1.analytics_pb2 import (
    CUSTOMER_RANKING_UNSPECIFIED,
    INTERVAL_MONTH,
    CustomerRanking,
    Summary,
    TimeBucket,
)
from patron.analytics.v1.analytics_service_pb2 import (
    GetSummaryRequest,
    GetTimeSeriesRequest,
    ListTopCustomersRequest,
)
from patron.bill.v1.bill_service_pb2 import (
    CreateBillRequest,
    GetBillRequest,
    ImportBillsRequest,
    ListBillsRequest,
)
from patron.customer.v1.customer_service_pb2 import (
    CreateCustomerRequest,
    GetCustomerRequest,
    ListCustomersRequest,
    UpdateCustomerRequest,
)
from patron.feature.v1.feature_service_pb2 import GetFeaturesRequest, SendFeedbackRequest
from tests.support.bills import bill_of, creation, instant, payment, trailers
from tests.support.chain_server import Refusal, refusal
from tests.support.drafts import FEATURE, create_customer, feedback, new_id, period, update_customer
from tests.support.service import Client

PHONE: Final = "+14155550123"
EXTERNAL_ID: Final = "shop-1"
NAME: Final = "Asha Rao"
OTHER_PHONE: Final = "+14155550124"
DAY: Final = "2025-03-10"
NOON: Final = instant(datetime.fromisoformat(f"{DAY}T12:00:00-04:00"))

RANKINGS: Final = sorted(set(CustomerRanking.values()) - {CUSTOMER_RANKING_UNSPECIFIED})


@dataclass(frozen=True)
class Shop:
    """A merchant that has rows in every table, and the requests that made them."""

    client: Client
    customer: CreateCustomerRequest
    """Asha has a phone, an external id and a bill that is half paid."""
    update: UpdateCustomerRequest
    bill: CreateBillRequest
    feedback: SendFeedbackRequest
    customers_token: str
    bills_token: str
    top_tokens: "dict[tuple[CustomerRanking.ValueType, str], str]"
    """Tokens of the second page of each ranking and month."""


async def open_shop(client: Client) -> Shop:
    """Fill a new merchant."""
    customer = create_customer(
        id=new_id(), phone=PHONE, external_id=EXTERNAL_ID, name="Asha", note="likes tea"
    )
    await client.customers.CreateCustomer(customer)
    update = update_customer(customer.customer.id, name=NAME)
    await client.customers.UpdateCustomer(update)
    half_paid = creation(
        bill_of(
            1000,
            payments=[payment(400, id=new_id())],
            id=new_id(),
            customer_id=customer.customer.id,
            bill_time=NOON,
        )
    )
    await client.bills.CreateBill(half_paid)
    walk_in = bill_of(500, paid_minor=500, id=new_id(), bill_time=NOON)
    overpaid = bill_of(
        700, paid_minor=900, id=new_id(), phone=OTHER_PHONE, customer_name="Bela", bill_time=NOON
    )
    batch = ImportBillsRequest(bills=[walk_in, overpaid])
    imported = await client.bills.ImportBills(iter([batch]))
    assert imported.created_bills == 2
    rated = feedback(2, comment=NAME)
    await client.features.SendFeedback(rated)

    customers = await client.customers.ListCustomers(ListCustomersRequest(page_size=1))
    bills = await client.bills.ListBills(ListBillsRequest(page_size=1))
    top_tokens: dict[tuple[CustomerRanking.ValueType, str], str] = {}
    for ranking in RANKINGS:
        for month in ("", DAY[:7]):
            top = await client.analytics.ListTopCustomers(
                ListTopCustomersRequest(ranking=ranking, month=month, page_size=1)
            )
            top_tokens[ranking, month] = top.next_page_token
    tokens = [customers.next_page_token, bills.next_page_token, *top_tokens.values()]
    assert all(tokens), "every list has a second page"
    return Shop(
        client,
        customer,
        update,
        half_paid,
        rated,
        customers.next_page_token,
        bills.next_page_token,
        top_tokens,
    )


def told(refused: Refusal) -> tuple[grpc.StatusCode, str, set[str]]:
    """Return the code, the reason and the fields of a refusal."""
    return refused.code, refused.reason, set(refused.fields)


async def _refuses(call: Awaitable[object], reason: str, *fields: str) -> None:
    refused = await refusal(call)
    code = (
        grpc.StatusCode.NOT_FOUND
        if reason.endswith("NOT_FOUND")
        else grpc.StatusCode.INVALID_ARGUMENT
    )
    assert told(refused) == (code, reason, set(fields))
    for secret in (NAME, PHONE, EXTERNAL_ID):
        assert secret not in refused.raw


async def _replayed(call: Any) -> tuple[Any, bool]:
    answer = await call
    return answer, "patron-replayed" in await trailers(call)


async def _create_customer(shop: Shop, other: Client) -> None:
    """The other's customer may have the same id, phone, external id and request id."""
    request = CreateCustomerRequest()
    request.CopyFrom(shop.customer)
    request.customer.name = "Somebody else"
    answer, replayed = await _replayed(other.customers.CreateCustomer(request))
    assert not replayed
    assert (answer.customer.id, answer.customer.phone, answer.customer.external_id) == (
        shop.customer.customer.id,
        PHONE,
        EXTERNAL_ID,
    )
    asked = GetCustomerRequest(customer_id=request.customer.id)
    own = await other.customers.GetCustomer(asked)
    assert (own.customer.name, own.customer.note) == ("Somebody else", "likes tea")
    there = await shop.client.customers.GetCustomer(asked)
    assert there.customer.name == NAME


async def _get_customer(shop: Shop, other: Client) -> None:
    """A customer is not found by the id that only the shop uses."""
    asked = GetCustomerRequest(customer_id=shop.customer.customer.id)
    await _refuses(other.customers.GetCustomer(asked), "CUSTOMER_NOT_FOUND")


async def _list_customers(shop: Shop, other: Client) -> None:
    """A list has one's own customers; a page token is worth nothing to another."""
    assert not (await other.customers.ListCustomers(ListCustomersRequest())).customers
    own = await other.customers.CreateCustomer(create_customer(name="Own"))
    listed = await other.customers.ListCustomers(ListCustomersRequest())
    assert [each.id for each in listed.customers] == [own.customer.id]
    asked = ListCustomersRequest(page_size=1, page_token=shop.customers_token)
    await _refuses(other.customers.ListCustomers(asked), "PAGE_TOKEN_INVALID", "page_token")


async def _update_customer(shop: Shop, other: Client) -> None:
    """A customer is not found to be changed, not even by the shop's own request."""
    await _refuses(other.customers.UpdateCustomer(shop.update), "CUSTOMER_NOT_FOUND")
    taken = update_customer(shop.customer.customer.id, "*", phone=PHONE, external_id=EXTERNAL_ID)
    await _refuses(other.customers.UpdateCustomer(taken), "CUSTOMER_NOT_FOUND")
    own = await other.customers.CreateCustomer(create_customer(name="Own"))
    same = update_customer(own.customer.id, phone=PHONE, external_id=EXTERNAL_ID)
    same.request_id = shop.update.request_id
    answer, replayed = await _replayed(other.customers.UpdateCustomer(same))
    assert not replayed
    assert (answer.customer.phone, answer.customer.external_id) == (PHONE, EXTERNAL_ID)


async def _create_bill(shop: Shop, other: Client) -> None:
    """A bill of the shop's ids is one's own, for a customer of one's own."""
    request = CreateBillRequest()
    request.CopyFrom(shop.bill)
    refused = other.bills.CreateBill(request)
    await _refuses(refused, "CUSTOMER_NOT_FOUND", "bill.customer_id")

    request.bill.phone = PHONE
    answer, replayed = await _replayed(other.bills.CreateBill(request))
    assert not replayed
    assert (answer.bill.id, answer.bill.number) == (shop.bill.bill.id, 1)
    assert answer.bill.payments[0].id == shop.bill.bill.payments[0].id
    second = await other.bills.CreateBill(creation(bill_of(300, external_id=EXTERNAL_ID)))
    made = {answer.bill.customer_id, second.bill.customer_id}
    assert len(made - {shop.customer.customer.id}) == 2
    for customer_id in made:
        asked = GetCustomerRequest(customer_id=customer_id)
        assert (await other.customers.GetCustomer(asked)).customer.name == ""


async def _get_bill(shop: Shop, other: Client) -> None:
    """A bill is not found by the id that only the shop uses."""
    asked = GetBillRequest(bill_id=shop.bill.bill.id)
    await _refuses(other.bills.GetBill(asked), "BILL_NOT_FOUND")


async def _list_bills(shop: Shop, other: Client) -> None:
    """A list has one's own bills, and no customer of another filters it."""
    assert not (await other.bills.ListBills(ListBillsRequest())).bills
    await other.bills.CreateBill(creation(bill_of(paid_minor=1000)))
    assert len((await other.bills.ListBills(ListBillsRequest())).bills) == 1
    asked = ListBillsRequest(customer_id=shop.customer.customer.id)
    await _refuses(other.bills.ListBills(asked), "CUSTOMER_NOT_FOUND")
    asked = ListBillsRequest(page_size=1, page_token=shop.bills_token)
    await _refuses(other.bills.ListBills(asked), "PAGE_TOKEN_INVALID", "page_token")


async def _import_bills(shop: Shop, other: Client) -> None:
    """An import finds neither the shop's customers nor its bills."""
    own = bill_of(id=new_id(), paid_minor=1000)
    batch = ImportBillsRequest(bills=[own, shop.bill.bill])
    refused = other.bills.ImportBills(iter([batch]))
    await _refuses(refused, "CUSTOMER_NOT_FOUND", "bills[1].customer_id")
    assert not (await other.bills.ListBills(ListBillsRequest())).bills

    batch.bills[1].external_id = EXTERNAL_ID
    answer = await other.bills.ImportBills(iter([batch]))
    assert (answer.created_bills, answer.existing_bills) == (2, 0)
    asked = GetBillRequest(bill_id=shop.bill.bill.id)
    assert (await other.bills.GetBill(asked)).bill.number == 2


async def _own_sale(other: Client) -> None:
    """Sell something for 300 on the day of the shop's bills."""
    await other.bills.CreateBill(creation(bill_of(300, phone=PHONE, bill_time=NOON)))


async def _get_summary(_shop: Shop, other: Client) -> None:
    """Sums have nothing of the shop's, however customers are counted."""
    spans = [period(), period(DAY, DAY), period("2025-03-02", "2025-03-30")]
    for span in spans:
        answer = await other.analytics.GetSummary(GetSummaryRequest(period=span))
        assert answer.current == Summary(period=span)
        assert answer.previous == Summary(period=answer.previous.period)
    await _own_sale(other)
    for span in spans:
        answer = await other.analytics.GetSummary(GetSummaryRequest(period=span))
        assert answer.current == Summary(
            period=span,
            sales_minor=300,
            bills=1,
            average_bill_minor=300,
            outstanding_minor=300,
            active_customers=1,
            new_customers=1,
        )


async def _get_time_series(_shop: Shop, other: Client) -> None:
    """Buckets have nothing of the shop's."""
    asked = GetTimeSeriesRequest(period=period(), interval=INTERVAL_MONTH)
    answer = await other.analytics.GetTimeSeries(asked)
    assert list(answer.buckets) == [TimeBucket(period=period())]
    await _own_sale(other)
    answer = await other.analytics.GetTimeSeries(asked)
    assert list(answer.buckets) == [
        TimeBucket(
            period=period(),
            sales_minor=300,
            bills=1,
            outstanding_minor=300,
            active_customers=1,
            new_customers=1,
        )
    ]


async def _list_top_customers(shop: Shop, other: Client) -> None:
    """No ranking has a customer of the shop's; a page token is worth nothing to another."""
    for sold in (0, 300):
        for (ranking, month), token in shop.top_tokens.items():
            asked = ListTopCustomersRequest(ranking=ranking, month=month, page_size=1)
            answer = await other.analytics.ListTopCustomers(asked)
            assert sum(each.sales_minor for each in answer.customers) == sold
            assert not answer.next_page_token
            asked.page_token = token
            refused = other.analytics.ListTopCustomers(asked)
            await _refuses(refused, "PAGE_TOKEN_INVALID", "page_token")
        if not sold:
            await _own_sale(other)


async def _get_features(_shop: Shop, other: Client) -> None:
    """Features are the contract's; which of them one has is not asked of the shop."""
    answer = await other.features.GetFeatures(GetFeaturesRequest())
    assert [each.name for each in answer.features] == [FEATURE]


async def _send_feedback(shop: Shop, other: Client) -> None:
    """The other's feedback is its own, even of the same person with the same request id."""
    request = SendFeedbackRequest()
    request.CopyFrom(shop.feedback)
    request.feedback.comment = "Something else"
    answer, replayed = await _replayed(other.features.SendFeedback(request))
    assert not replayed
    assert answer.feedback.comment == "Something else"


Case = Callable[[Shop, Client], Awaitable[None]]

CASES: Final[dict[str, Case]] = {
    "patron.customer.v1.CustomerService.CreateCustomer": _create_customer,
    "patron.customer.v1.CustomerService.GetCustomer": _get_customer,
    "patron.customer.v1.CustomerService.ListCustomers": _list_customers,
    "patron.customer.v1.CustomerService.UpdateCustomer": _update_customer,
    "patron.bill.v1.BillService.CreateBill": _create_bill,
    "patron.bill.v1.BillService.GetBill": _get_bill,
    "patron.bill.v1.BillService.ListBills": _list_bills,
    "patron.bill.v1.BillService.ImportBills": _import_bills,
    "patron.analytics.v1.AnalyticsService.GetSummary": _get_summary,
    "patron.analytics.v1.AnalyticsService.GetTimeSeries": _get_time_series,
    "patron.analytics.v1.AnalyticsService.ListTopCustomers": _list_top_customers,
    "patron.feature.v1.FeatureService.GetFeatures": _get_features,
    "patron.feature.v1.FeatureService.SendFeedback": _send_feedback,
}
"""What a new merchant finds of the shop on each method: nothing."""
