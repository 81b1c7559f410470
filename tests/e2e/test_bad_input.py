"""Bad input of every kind gets its documented code, with details, and changes nothing."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from patron.analytics.v1.analytics_pb2 import (
    CUSTOMER_RANKING_SALES,
    INTERVAL_DAY,
    INTERVAL_MONTH,
    INTERVAL_WEEK,
)
from patron.analytics.v1.analytics_service_pb2 import (
    GetSummaryRequest,
    GetTimeSeriesRequest,
    ListTopCustomersRequest,
)
from patron.bill.v1.bill_pb2 import BillDraft
from patron.bill.v1.bill_service_pb2 import (
    CreateBillRequest,
    GetBillRequest,
    ImportBillsRequest,
    ListBillsRequest,
)
from patron.customer.v1.customer_pb2 import Customer
from patron.customer.v1.customer_service_pb2 import (
    CreateCustomerRequest,
    GetCustomerRequest,
    ListCustomersRequest,
    UpdateCustomerRequest,
)
from patron.feature.v1.feature_service_pb2 import SendFeedbackRequest
from patron.options.v1.options_pb2 import policy
from tests.support.bench import Bench, assert_documented, open_bench
from tests.support.bills import bill_of, creation, instant, line, payment
from tests.support.chain_server import refusal
from tests.support.drafts import VALID, create_customer, feedback, new_id, period, update_customer
from tests.support.fields import path_of, places, put
from tests.support.service import SCOPES, Service
from tests.support.tenants import OTHER_PHONE, PHONE, Shop
from tests.support.wire import METHODS, method_named, wire

SOME_ID = "0b0e2f0e-3c1c-4a5e-9a57-4b8f2c7ed4c7"
HIGHEST = 10_000_000_000_000
YEAR_10000 = 253_402_300_800


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(service: Service) -> AsyncIterator[Bench]:
    """A shop that all tests here try to spoil."""
    async with open_bench(service) as bench:
        yield bench


Request = Message | Callable[[Shop], Message]


@dataclass(frozen=True)
class Bad:
    """A request, and how it is refused: the reason, the fields and the metadata."""

    request: Request
    reason: str
    fields: tuple[str, ...]
    metadata: dict[str, str] = field(default_factory=dict)


def invalid(request: Request, *fields: str) -> Bad:
    """Return a request that is refused for these fields."""
    return Bad(request, "FIELD_INVALID", fields)


def a_bill(**fields: Any) -> CreateBillRequest:
    """Return the request to create a bill of Bela's, who pays later."""
    return creation(bill_of(**{"phone": OTHER_PHONE} | fields))


def walk_in(paid_minor: int) -> CreateBillRequest:
    """Return the request to create a walk-in's bill of 1000."""
    return creation(bill_of(1000, paid_minor=paid_minor))


def with_line(**fields: Any) -> CreateBillRequest:
    """Return the request to create a bill of one such line."""
    return a_bill(lines=[line(**fields)])


def with_payment(**fields: Any) -> CreateBillRequest:
    """Return the request to create a bill of 1000 with one such payment."""
    return a_bill(payments=[payment(**{"amount_minor": 1000} | fields)])


def tomorrow_and_a_bit() -> Timestamp:
    """Return an instant that is too far ahead."""
    return instant(datetime.now(UTC) + timedelta(days=1, minutes=5))


def same_id_twice() -> CreateBillRequest:
    """Return the request to create a bill with one payment sent twice."""
    paid = payment(500, id=new_id())
    return a_bill(payments=[paid, paid])


def masked(*paths: str) -> GetSummaryRequest:
    """Return the request of a summary with a mask."""
    request = GetSummaryRequest(period=period())
    request.read_mask.paths.extend(paths)
    return request


def reused(request: Any, request_id: str) -> Any:
    """Return the request under the id of another."""
    request.request_id = request_id
    return request


def for_bela(shop: Shop, *paths: str, **fields: str) -> UpdateCustomerRequest:
    """Return the request to update Asha to what Bela has."""
    return update_customer(shop.customer.customer.id, *paths, **fields)


def summary(from_day: str, to_day: str) -> GetSummaryRequest:
    """Return the request of a summary."""
    return GetSummaryRequest(period=period(from_day, to_day))


def series(from_day: str, to_day: str, interval: Any = INTERVAL_DAY) -> GetTimeSeriesRequest:
    """Return the request of a time series, by days unless told otherwise."""
    return GetTimeSeriesRequest(period=period(from_day, to_day), interval=interval)


def top(ranking: Any, **fields: Any) -> ListTopCustomersRequest:
    """Return the request of a ranking."""
    return ListTopCustomersRequest(ranking=ranking, **fields)


MISSING: Final = {
    "create-customer": invalid(CreateCustomerRequest(), "request_id", "customer"),
    "update-customer": invalid(UpdateCustomerRequest(), "request_id", "customer"),
    "update-customer-id": invalid(
        UpdateCustomerRequest(request_id=SOME_ID, customer=Customer(name="x")), "customer.id"
    ),
    "get-customer": invalid(GetCustomerRequest(), "customer_id"),
    "create-bill": invalid(CreateBillRequest(), "request_id", "bill"),
    "bill-content": invalid(creation(BillDraft()), "bill.currency", "bill.lines"),
    "line-content": invalid(
        a_bill(lines=[line(description="", quantity_milli=0)]),
        "bill.lines[0].description",
        "bill.lines[0].quantity_milli",
    ),
    "payment-content": invalid(
        a_bill(payments=[payment(0, method=0)]),
        "bill.payments[0].amount_minor",
        "bill.payments[0].method",
    ),
    "bill-customer-id": invalid(a_bill(phone=None, customer_id=""), "bill.customer_id"),
    "bill-phone": invalid(a_bill(phone=""), "bill.phone"),
    "bill-external-id": invalid(a_bill(phone=None, external_id=""), "bill.external_id"),
    "get-bill": invalid(GetBillRequest(), "bill_id"),
    "import": invalid(ImportBillsRequest(), "bills"),
    "import-id": invalid(ImportBillsRequest(bills=[bill_of(paid_minor=1000)]), "bills"),
    "summary": invalid(GetSummaryRequest(), "period"),
    "summary-days": invalid(summary("", ""), "period.from_day", "period.to_day"),
    "series": invalid(GetTimeSeriesRequest(), "period", "interval"),
    "top": invalid(ListTopCustomersRequest(), "ranking"),
    "feedback": invalid(SendFeedbackRequest(), "request_id", "feedback"),
    "feedback-content": invalid(feedback(0, feature=""), "feedback.feature", "feedback.rating"),
}
AMOUNTS: Final = {
    "rating-negative": invalid(feedback(-1), "feedback.rating"),
    "rating-high": invalid(feedback(6), "feedback.rating"),
    "payments-huge": invalid(a_bill(payments=[payment(HIGHEST)] * 2), "bill.payments"),
    "quantity-negative": invalid(with_line(quantity_milli=-1), "bill.lines[0].quantity_milli"),
    "quantity-huge": invalid(with_line(quantity_milli=10**9 + 1), "bill.lines[0].quantity_milli"),
    "price-negative": invalid(with_line(unit_price_minor=-1), "bill.lines[0].unit_price_minor"),
    "price-huge": invalid(with_line(unit_price_minor=10**12 + 1), "bill.lines[0].unit_price_minor"),
    "discount-negative": invalid(with_line(discount_minor=-1), "bill.lines[0].discount_minor"),
    "discount-over-line": invalid(with_line(discount_minor=1001), "bill.lines[0].discount_minor"),
    "tax-negative": invalid(with_line(tax_minor=-1), "bill.lines[0].tax_minor"),
    "total-huge": invalid(a_bill(lines=[line(10**12)] * 11), "bill.lines"),
    "line-huge": invalid(with_line(unit_price_minor=10**12, quantity_milli=10**9), "bill.lines"),
    "subtotal-huge": invalid(
        a_bill(lines=[line(10**12, discount_minor=10**12)] * 11), "bill.lines"
    ),
    "tax-huge": invalid(a_bill(lines=[line(0, tax_minor=10**12)] * 11), "bill.lines"),
    "too-many-lines": invalid(a_bill(lines=[line(1)] * 201), "bill.lines"),
    "payment-negative": invalid(with_payment(amount_minor=-1), "bill.payments[0].amount_minor"),
    "payment-huge": invalid(
        with_payment(amount_minor=HIGHEST + 1), "bill.payments[0].amount_minor"
    ),
    "payment-method-unknown": invalid(with_payment(method=99), "bill.payments[0].method"),
    "too-many-payments": invalid(a_bill(payments=[payment(1)] * 21), "bill.payments"),
    "expected-negative": invalid(a_bill(expected_total_minor=-1), "bill.expected_total_minor"),
    "total-mismatch": Bad(
        a_bill(expected_total_minor=999),
        "TOTAL_MISMATCH",
        ("bill.expected_total_minor",),
        {"total_minor": "1000"},
    ),
    "walk-in-unpaid": Bad(
        walk_in(0),
        "WALK_IN_NOT_SETTLED",
        ("bill.payments",),
        {"total_minor": "1000", "paid_minor": "0"},
    ),
    "walk-in-overpaid": Bad(
        walk_in(1001),
        "WALK_IN_NOT_SETTLED",
        ("bill.payments",),
        {"total_minor": "1000", "paid_minor": "1001"},
    ),
    "currency-in-lower-case": invalid(a_bill(currency="usd"), "bill.currency"),
    "currency-with-a-newline": invalid(a_bill(currency="USD\n"), "bill.currency"),
    "other-currency": Bad(
        a_bill(currency="EUR"), "CURRENCY_MISMATCH", ("bill.currency",), {"currency": "USD"}
    ),
    "unknown-currency": Bad(
        a_bill(currency="QQQ"), "CURRENCY_MISMATCH", ("bill.currency",), {"currency": "USD"}
    ),
}
TIMES: Final = {
    "no-such-day": invalid(ListBillsRequest(from_day="2026-02-30"), "from_day"),
    "no-such-month": invalid(ListBillsRequest(to_day="2026-13-01"), "to_day"),
    "no-such-year": invalid(ListBillsRequest(to_day="0000-01-01"), "to_day"),
    "day-in-other-digits": invalid(ListBillsRequest(from_day="2026-01-0\u0661"), "from_day"),
    "day-with-a-newline": invalid(ListBillsRequest(from_day="2026-01-01\n"), "from_day"),
    "week-day": invalid(ListBillsRequest(from_day="2026-W01-1"), "from_day"),
    "summary-no-such-day": invalid(summary("2026-02-28", "2026-02-30"), "period.to_day"),
    "summary-reversed": invalid(summary("2026-02-02", "2026-02-01"), "period.to_day"),
    "summary-nothing-before": invalid(summary("0001-01-01", "0001-01-01"), "period.from_day"),
    "summary-of-all-time": invalid(summary("0001-01-01", "9999-12-31"), "period.from_day"),
    "series-no-such-day": invalid(series("2026-02-30", "2026-03-01"), "period.from_day"),
    "series-reversed": invalid(series("2026-02-02", "2026-02-01"), "period.to_day"),
    "series-too-long": invalid(series("2020-01-01", "2023-04-15"), "period"),
    "series-of-all-time": invalid(series("0001-01-01", "9999-12-31", INTERVAL_MONTH), "period"),
    "series-interval": invalid(series("2026-01-01", "2026-01-02", 99), "interval"),
    "top-month": invalid(top(1, month="2026-13"), "month"),
    "top-month-0000": invalid(top(1, month="0000-01"), "month"),
    "top-month-form": invalid(top(1, month="2026-1"), "month"),
    "top-ranking": invalid(
        top(99),
        "ranking",
    ),
    "due-no-such-day": invalid(a_bill(due_day="2026-02-30"), "bill.due_day"),
    "due-form": invalid(a_bill(due_day="tomorrow"), "bill.due_day"),
    "due-before-bill": invalid(a_bill(due_day="0001-01-01"), "bill.due_day"),
    "bill-ahead": invalid(lambda _: a_bill(bill_time=tomorrow_and_a_bit()), "bill.bill_time"),
    "paid-ahead": invalid(
        lambda _: with_payment(pay_time=tomorrow_and_a_bit()), "bill.payments[0].pay_time"
    ),
    "bill-in-1969": invalid(a_bill(bill_time=Timestamp(seconds=-1)), "bill.bill_time"),
    "bill-in-9999": invalid(a_bill(bill_time=Timestamp(seconds=YEAR_10000 - 1)), "bill.bill_time"),
    "bill-in-10000": invalid(a_bill(bill_time=Timestamp(seconds=YEAR_10000)), "bill.bill_time"),
    "bill-at-the-end": invalid(a_bill(bill_time=Timestamp(seconds=2**63 - 1)), "bill.bill_time"),
    "bill-at-the-beginning": invalid(
        a_bill(bill_time=Timestamp(seconds=-(2**63))), "bill.bill_time"
    ),
    "bill-nanos-negative": invalid(a_bill(bill_time=Timestamp(nanos=-1)), "bill.bill_time"),
    "bill-nanos-over": invalid(a_bill(bill_time=Timestamp(nanos=10**9)), "bill.bill_time"),
    "paid-in-10000": invalid(
        with_payment(pay_time=Timestamp(seconds=YEAR_10000)), "bill.payments[0].pay_time"
    ),
    "paid-in-1969": invalid(
        with_payment(pay_time=Timestamp(seconds=-1)), "bill.payments[0].pay_time"
    ),
}
MASKS: Final = {
    "unknown": invalid(lambda shop: for_bela(shop, "phones"), "update_mask"),
    "read-only": invalid(lambda shop: for_bela(shop, "create_time"), "update_mask"),
    "id": invalid(lambda shop: for_bela(shop, "name", "id"), "update_mask"),
    "star-among-others": invalid(lambda shop: for_bela(shop, "name", "*"), "update_mask"),
    "empty-path": invalid(lambda shop: for_bela(shop, ""), "update_mask"),
    "too-many": invalid(lambda shop: for_bela(shop, *["name"] * 17), "update_mask"),
    "too-long": invalid(lambda shop: for_bela(shop, "n" * 65), "update_mask"),
    "all-emoji": invalid(lambda shop: for_bela(shop, *["\U0001f600" * 64] * 16), "update_mask"),
    "summary-unknown": invalid(masked("bills", "profit"), "read_mask"),
    "summary-nested": invalid(masked("current.bills"), "read_mask"),
    "summary-too-many": invalid(masked(*["bills"] * 17), "read_mask"),
    "summary-all-emoji": invalid(masked(*["\U0001f600" * 64] * 16), "read_mask"),
}
CONFLICTS: Final = {
    "customer-id": Bad(
        lambda shop: create_customer(id=shop.customer.customer.id, name="Other"),
        "CUSTOMER_ALREADY_EXISTS",
        (),
    ),
    "customer-of-request": Bad(
        lambda shop: reused(create_customer(name="Other"), shop.customer.request_id),
        "REQUEST_ID_REUSED",
        (),
    ),
    "bill-of-request": Bad(
        lambda shop: reused(a_bill(), shop.bill.request_id), "REQUEST_ID_REUSED", ()
    ),
    "other-method-of-request": Bad(
        lambda shop: reused(a_bill(), shop.customer.request_id), "REQUEST_ID_REUSED", ()
    ),
    "update-of-request": Bad(
        lambda shop: reused(for_bela(shop, name="Other"), shop.update.request_id),
        "REQUEST_ID_REUSED",
        (),
    ),
    "stale-etag": Bad(lambda shop: for_bela(shop, name="x", etag="0"), "ETAG_STALE", ()),
    "odd-etag": Bad(lambda shop: for_bela(shop, name="x", etag="\0"), "ETAG_STALE", ()),
    "bill-id": Bad(lambda shop: a_bill(id=shop.bill.bill.id), "BILL_ALREADY_EXISTS", ("bill.id",)),
    "payment-id": Bad(
        lambda shop: with_payment(id=shop.bill.bill.payments[0].id),
        "PAYMENT_ALREADY_EXISTS",
        ("bill.payments[0].id",),
    ),
    "payment-of-a-bill's-id": Bad(
        lambda shop: with_payment(id=shop.bill.bill.id),
        "PAYMENT_ALREADY_EXISTS",
        ("bill.payments[0].id",),
    ),
    "bill-of-a-payment's-id": Bad(
        lambda shop: a_bill(id=shop.bill.bill.payments[0].id),
        "PAYMENT_ALREADY_EXISTS",
        ("bill.id",),
    ),
    "payment-of-its-bill's-id": invalid(
        a_bill(id=SOME_ID, payments=[payment(1, id=SOME_ID)]), "bill.payments[0].id"
    ),
    "payment-twice": invalid(same_id_twice(), "bill.payments[1].id"),
    "unknown-customer": Bad(
        a_bill(phone=None, customer_id=SOME_ID), "CUSTOMER_NOT_FOUND", ("bill.customer_id",)
    ),
    "update-unknown-customer": Bad(
        update_customer(SOME_ID, name="Other"), "CUSTOMER_NOT_FOUND", ()
    ),
    "get-unknown-customer": Bad(GetCustomerRequest(customer_id=SOME_ID), "CUSTOMER_NOT_FOUND", ()),
    "list-unknown-customer": Bad(ListBillsRequest(customer_id=SOME_ID), "CUSTOMER_NOT_FOUND", ()),
    "unknown-feature": Bad(feedback(feature="Customer-Analytics"), "FEATURE_NOT_FOUND", ()),
    "feedback-of-request": Bad(
        lambda shop: reused(feedback(5), shop.feedback.request_id), "REQUEST_ID_REUSED", ()
    ),
    "unknown-bill": Bad(GetBillRequest(bill_id=SOME_ID), "BILL_NOT_FOUND", ()),
}


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(bad, id=name)
        for group in (MISSING, AMOUNTS, TIMES, MASKS, CONFLICTS)
        for name, bad in group.items()
    ],
)
async def test_refused(bench: Bench, bad: Bad) -> None:
    """A bad request is refused with its reason, the fields and the facts, and changes nothing."""
    request = bad.request if isinstance(bad.request, Message) else bad.request(bench.shop)
    refused = await bench.refuses(request)

    assert (refused.reason, set(refused.fields)) == (bad.reason, set(bad.fields))
    metadata = dict(refused.info.metadata)
    metadata.pop("batch", None)
    assert metadata == bad.metadata


@pytest.mark.parametrize("phone", [PHONE, "(415) 555-0123", "+1 415-555-0123", "14155550123"])
async def test_taken(bench: Bench, phone: str) -> None:
    """A phone, however it is written, and an external id belong to one customer alone."""
    taken_by = {"customer_id": bench.shop.customer.customer.id}
    listed = await bench.shop.client.customers.ListCustomers(ListCustomersRequest())
    [bela] = [each.id for each in listed.customers if each.phone == OTHER_PHONE]
    for request in (create_customer(phone=phone), update_customer(bela, phone=phone)):
        refused = await bench.refuses(request)
        assert (refused.reason, dict(refused.info.metadata)) == ("PHONE_TAKEN", taken_by)
    external_id = bench.shop.customer.customer.external_id
    for request in (
        create_customer(external_id=external_id),
        update_customer(bela, external_id=external_id),
    ):
        refused = await bench.refuses(request)
        assert (refused.reason, dict(refused.info.metadata)) == ("EXTERNAL_ID_TAKEN", taken_by)


@pytest.mark.parametrize(
    "phone",
    ["Asha", " ", "12", "+", "+1", "+999 415 555 0123", "415555012345678901", "+1415555\u2603"],
)
async def test_bad_phones(bench: Bench, phone: str) -> None:
    """What cannot be dialled in the merchant's region is PHONE_INVALID, wherever it is sent."""
    customer_id = bench.shop.customer.customer.id
    for request, path in (
        (create_customer(phone=phone), "customer.phone"),
        (update_customer(customer_id, phone=phone), "customer.phone"),
        (a_bill(phone=phone), "bill.phone"),
        (ImportBillsRequest(bills=[bill_of(id=new_id(), phone=phone)]), "bills[0].phone"),
    ):
        refused = await bench.refuses(request)
        assert (refused.reason, set(refused.fields)) == ("PHONE_INVALID", {path})
        assert phone.strip() in {"", "+"} or phone not in refused.raw


def ids_of(method: MethodDescriptor) -> list[Any]:
    """Return the places of the ids in a method's request."""
    return [
        place
        for place in places(method.input_type, FieldDescriptor.TYPE_STRING)
        if place[-1].name.endswith("id") and place[-1].name != "external_id"
    ]


@pytest.mark.parametrize(
    "method", [method for method in METHODS if ids_of(method)], ids=lambda method: method.name
)
@pytest.mark.parametrize(
    "odd",
    [
        f"{{{SOME_ID}}}",
        f"urn:uuid:{SOME_ID}",
        SOME_ID.replace("-", ""),
        f"{SOME_ID}\n",
        SOME_ID.replace("0", "\uff10"),
        "1",
    ],
    ids=["braces", "urn", "bare", "newline", "other-digits", "short"],
)
async def test_odd_ids(bench: Bench, method: MethodDescriptor, odd: str) -> None:
    """An id in any form but the usual one of a UUID is refused, wherever it stands."""
    for place in ids_of(method):
        request = VALID[method.name]()
        put(request, place, odd)
        refused = await bench.refuses(request)
        assert refused.reason == "FIELD_INVALID"
        assert path_of(place) in refused.fields


def expected_refusal(name: str) -> tuple[str, ...]:
    """Return the reasons for which a text that no field takes is refused."""
    if name == "page_token":
        return ("FIELD_INVALID", "PAGE_TOKEN_INVALID")
    return ("FIELD_INVALID",)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_texts(bench: Bench, method: MethodDescriptor) -> None:
    """In every text field, too much, NUL and what is no Unicode are refused, by its path."""
    for place in places(method.input_type, FieldDescriptor.TYPE_STRING):
        name = place[-1].name
        for text in ("x" * 5000, "a\0b"):
            request = VALID[method.name]()
            put(request, place, text)
            if name == "etag" and text == "a\0b":
                continue  # It is compared only.
            refused = await bench.refuses(request)
            assert refused.reason in expected_refusal(name), path_of(place)
            path = "update_mask" if name == "paths" else path_of(place)
            assert refused.fields.keys() & {path, "read_mask"}, path

        request = VALID[method.name]()
        put(request, place, "\u2603")
        # A lone surrogate, which is no text, in place of a sign of as many bytes.
        payload = request.SerializeToString().replace(b"\xe2\x98\x83", b"\xed\xa0\x80")
        refused = await bench.refuses(payload, method=method.name)
        assert refused.reason == "REQUEST_MALFORMED"


async def test_odd_texts_are_kept(bench: Bench) -> None:
    """Every character but NUL is kept as it was sent, in answers, replays and lists."""
    odd = "\ufeff\u202e\U0010ffff\uffff\x01\x7f\\u0000'\"{}%s\u0301\U0001f469\u200d\U0001f373"
    async with bench.service.client() as client:
        created = create_customer(name=odd, external_id=odd, note=odd)
        first = await client.customers.CreateCustomer(created)
        assert await client.customers.CreateCustomer(created) == first
        answered = await client.customers.GetCustomer(
            GetCustomerRequest(customer_id=first.customer.id)
        )
        for customer in (first.customer, answered.customer):
            assert (customer.name, customer.external_id, customer.note) == (odd, odd, odd)

        sent = creation(
            bill_of(external_id=odd, client_reference=odd, note=odd, lines=[line(description=odd)])
        )
        bill = await client.bills.CreateBill(sent)
        assert await client.bills.CreateBill(sent) == bill
        assert bill.bill.customer_id == first.customer.id
        listed = await client.bills.ListBills(ListBillsRequest())
        assert list(listed.bills) == [bill.bill]
        assert (bill.bill.note, bill.bill.lines[0].description) == (odd, odd)
        ranked = await client.analytics.ListTopCustomers(top(1))
        assert (ranked.customers[0].name, ranked.customers[0].external_id) == (odd, odd)


LISTS: Final[dict[str, Callable[..., Any]]] = {
    "customers": ListCustomersRequest,
    "bills": ListBillsRequest,
    "top": lambda **fields: top(1, **fields),
}


@pytest.mark.parametrize("name", LISTS)
async def test_pages(bench: Bench, name: str) -> None:
    """A negative page size and a token that is not of this very list are refused."""
    shop, asked = bench.shop, LISTS[name]
    refused = await bench.refuses(asked(page_size=-1))
    assert (refused.reason, set(refused.fields)) == ("FIELD_INVALID", {"page_size"})
    refused = await bench.refuses(asked(page_token="x" * 513))
    assert (refused.reason, set(refused.fields)) == ("FIELD_INVALID", {"page_token"})

    own = {
        "customers": shop.customers_token,
        "bills": shop.bills_token,
        "top": shop.top_tokens[CUSTOMER_RANKING_SALES, ""],
    }
    token = own.pop(name)
    await bench.wire.send(
        method_named(type(asked()).__name__.removesuffix("Request")), asked(page_token=token)
    )
    changed = token[:-5] + ("A" if token[-5] != "A" else "B") + token[-4:]
    for forged in (*own.values(), changed, token[:20], "x", "AAAA", "e30=", "=", "\u00e9\u2603"):
        refused = await bench.refuses(asked(page_token=forged))
        assert (refused.reason, set(refused.fields)) == ("PAGE_TOKEN_INVALID", {"page_token"})


@pytest.mark.parametrize(
    "request_",
    [
        ListBillsRequest(from_day="2025-01-01"),
        ListBillsRequest(customer_id=SOME_ID),
        top(2),
        top(1, month="2025-03"),
    ],
    ids=["bills-from", "bills-of", "top-by", "top-of"],
)
async def test_page_tokens_of_other_arguments(bench: Bench, request_: Any) -> None:
    """A page token is bound to the arguments of the list that it continues."""
    bills = isinstance(request_, ListBillsRequest)
    request_.page_token = (
        bench.shop.bills_token if bills else bench.shop.top_tokens[CUSTOMER_RANKING_SALES, ""]
    )
    refused = await bench.refuses(request_)

    assert refused.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("interval", [INTERVAL_DAY, INTERVAL_WEEK, INTERVAL_MONTH])
@pytest.mark.parametrize(
    "from_day, to_day",
    [
        ("0001-01-01", "0001-02-03"),
        ("9999-11-30", "9999-12-31"),
        ("9999-12-01", "9999-12-31"),
        ("9999-12-31", "9999-12-31"),
    ],
)
async def test_edges_of_the_calendar(
    bench: Bench, from_day: str, to_day: str, interval: Any
) -> None:
    """Periods at the first and last day that there are get their answer."""
    asked = series(from_day, to_day, interval)
    answer = await bench.wire.send(method_named("GetTimeSeries"), asked)
    assert answer.buckets[0].period.from_day == from_day
    assert answer.buckets[-1].period.to_day == to_day
    if from_day > "0002":
        asked_summary = summary(from_day, to_day)
        answer = await bench.wire.send(method_named("GetSummary"), asked_summary)
        assert answer.current.period == asked_summary.period


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_bytes(bench: Bench, method: MethodDescriptor) -> None:
    """Garbage is REQUEST_MALFORMED, and 5 MB are RESOURCE_EXHAUSTED, on every method."""
    for garbage in (b"\xff\xff\xff", b"\x0a\x05x", b"\x00", b"\x0a\xff\xff\xff\xff\x0f"):
        refused = await bench.refuses(garbage, method=method.name)
        assert refused.reason == "REQUEST_MALFORMED"
        assert dict(refused.info.metadata) == ({"batch": "0"} if method.client_streaming else {})
    async with bench.unchanged():
        refused = await refusal(bench.wire.send(method, b"\x0a" * 5_000_000))
    assert refused.code == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_tokens(bench: Bench, method: MethodDescriptor) -> None:
    """An expired token and one without the scope are refused on every method."""
    service, merchant_id = bench.service, bench.shop.client.merchant_id
    scope = method.GetOptions().Extensions[policy].scope
    tokens = {
        "TOKEN_EXPIRED": service.token(merchant_id, lifetime=-60),
        "SCOPE_MISSING": service.token(merchant_id, SCOPES - {scope}),
        "TOKEN_INVALID": service.token(merchant_id)[:-3],
    }
    for reason, token in tokens.items():
        async with bench.unchanged(), wire(service, token) as with_token:
            refused = await refusal(with_token.send(method, VALID[method.name]()))
        assert_documented(refused)
        assert refused.reason == reason
        assert dict(refused.info.metadata) == (
            {"scope": scope} if reason == "SCOPE_MISSING" else {}
        )


def batch_of(size: int) -> ImportBillsRequest:
    """Return a valid batch of bills of Bela's."""
    return ImportBillsRequest(bills=[bill_of(id=new_id(), phone=OTHER_PHONE) for _ in range(size)])


SPOILT: Final[dict[str, tuple[Callable[[BillDraft, Shop], object], str, str]]] = {
    "rule": (lambda bill, _: put_text(bill, "currency", "usd"), "FIELD_INVALID", "currency"),
    "nul": (lambda bill, _: put_text(bill, "note", "\0"), "FIELD_INVALID", "note"),
    "due": (lambda bill, _: put_text(bill, "due_day", "2026-02-30"), "FIELD_INVALID", "due_day"),
    "time": (
        lambda bill, _: bill.bill_time.FromSeconds(YEAR_10000 - 1),
        "FIELD_INVALID",
        "bill_time",
    ),
    "no-time": (
        lambda bill, _: bill.MergeFrom(BillDraft(bill_time=Timestamp(seconds=YEAR_10000))),
        "FIELD_INVALID",
        "bill_time",
    ),
    "discount": (
        lambda bill, _: bill.lines.append(line(1, discount_minor=2)),
        "FIELD_INVALID",
        "lines[1].discount_minor",
    ),
    "currency": (
        lambda bill, _: put_text(bill, "currency", "EUR"),
        "CURRENCY_MISMATCH",
        "currency",
    ),
    "walk-in": (lambda bill, _: bill.ClearField("phone"), "WALK_IN_NOT_SETTLED", "payments"),
    "phone": (lambda bill, _: put_text(bill, "phone", "Asha"), "PHONE_INVALID", "phone"),
    "customer": (
        lambda bill, _: put_text(bill, "customer_id", SOME_ID),
        "CUSTOMER_NOT_FOUND",
        "customer_id",
    ),
    "bill-id": (
        lambda bill, shop: put_text(bill, "id", shop.bill.bill.id),
        "BILL_ALREADY_EXISTS",
        "id",
    ),
    "payment-id": (
        lambda bill, shop: bill.payments.append(shop.bill.bill.payments[0]),
        "PAYMENT_ALREADY_EXISTS",
        "payments[0].id",
    ),
}


def put_text(bill: BillDraft, name: str, text: str) -> None:
    """Set a field of a draft."""
    setattr(bill, name, text)


@pytest.mark.parametrize("kind", SPOILT)
async def test_bad_batch(bench: Bench, kind: str) -> None:
    """A bad bill refuses its batch whole, by number and place; the batch before it stays."""
    spoil, reason, path = SPOILT[kind]
    good, bad, later = batch_of(2), batch_of(20), batch_of(1)
    spoil(bad.bills[17], bench.shop)
    bills = bench.shop.client.bills
    # The good batch is there already when the bad one comes: what follows is all that may change.
    await bills.ImportBills(iter([good]))
    refused = await bench.refuses(good, bad, later)

    assert refused.reason == reason
    assert set(refused.fields) == ({f"bills[17].{path}"} if path else set())
    assert refused.info.metadata["batch"] == "1"


async def test_batches_before_a_bad_one(service: Service) -> None:
    """An import that is refused keeps its earlier batches, and is completed by sending it again."""
    good, bad = batch_of(3), batch_of(20)
    bad.bills[17].currency = "EUR"
    async with service.client() as client:
        refused = await refusal(client.bills.ImportBills(iter([good, bad])))
        assert refused.info.metadata["batch"] == "1"
        listed = await client.bills.ListBills(ListBillsRequest())
        assert {bill.id for bill in listed.bills} == {bill.id for bill in good.bills}

        bad.bills[17].currency = "USD"
        answer = await client.bills.ImportBills(iter([good, bad]))
        assert (answer.created_bills, answer.existing_bills) == (20, 3)
        numbers = [bill.number for bill in (await client.bills.ListBills(ListBillsRequest())).bills]
        assert sorted(numbers) == list(range(1, 24))


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
async def test_one_id_twice_in_a_batch(bench: Bench, spelling: Callable[[str], str]) -> None:
    """Two bills of a batch with one id, however it is spelt, refuse the batch."""
    batch = batch_of(3)
    batch.bills[2].id = spelling(batch.bills[0].id)
    refused = await bench.refuses(batch)

    assert refused.reason == "FIELD_INVALID"
    assert refused.info.metadata["batch"] == "0"


async def test_empty_import(bench: Bench) -> None:
    """An import without a batch, or of a batch too long, is refused."""
    refused = await bench.refuses(method="ImportBills")
    assert (refused.reason, set(refused.fields)) == ("FIELD_INVALID", {"bills"})
    refused = await bench.refuses(batch_of(501))
    assert (refused.reason, set(refused.fields)) == ("FIELD_INVALID", {"bills"})


async def test_garbage_batch(bench: Bench) -> None:
    """A batch that is no message, or is too large, ends the import and changes nothing."""
    there = ImportBillsRequest(bills=[bench.shop.bill.bill])
    refused = await bench.refuses(there, b"\xff", method="ImportBills")
    assert (refused.reason, refused.info.metadata["batch"]) == ("REQUEST_MALFORMED", "1")
    async with bench.unchanged():
        refused = await refusal(
            bench.wire.send(method_named("ImportBills"), there, b"\x0a" * 5_000_000)
        )
    assert refused.code == grpc.StatusCode.RESOURCE_EXHAUSTED
