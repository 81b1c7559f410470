"""The calls of the scenarios: which methods, with which requests."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from load.calls import Method
from load.targets.descriptors import find
from load.targets.stubs import import_stubs
from patron.analytics.v1 import analytics_service_pb2
from patron.analytics.v1.analytics_pb2 import Period
from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest
from patron.bill.v1 import bill_service_pb2
from patron.bill.v1.bill_pb2 import PAYMENT_METHOD_CASH, BillDraft, BillLine, Payment
from patron.bill.v1.bill_service_pb2 import CreateBillRequest
from patron.customer.v1 import customer_service_pb2
from patron.customer.v1.customer_service_pb2 import GetCustomerRequest, ListCustomersRequest

MERCHANTS: Final = range(1, 101)
CUSTOMERS: Final = range(1, 21)
"""Of each merchant."""
BILLED_MERCHANTS: Final = range(1, 11)
"""Those that get all new bills of the mixed scenario: a bill evicts its merchant's answers."""
RECORDED_MERCHANT: Final = 0
"""Of whose calls the statements are recorded; nothing else calls for it."""
CURRENCY: Final = "USD"
_SUMMARY_DAYS: Final = 30

# What is called, by short name.
_SERVICES = (
    analytics_service_pb2.DESCRIPTOR.services_by_name["AnalyticsService"],
    bill_service_pb2.DESCRIPTOR.services_by_name["BillService"],
    customer_service_pb2.DESCRIPTOR.services_by_name["CustomerService"],
)
_METHODS: Final[dict[str, MethodDescriptor]] = {
    method.name: method for service in _SERVICES for method in service.methods
}


def path(method: str) -> str:
    """Return the path on the wire of a method of this short name."""
    found = _METHODS[method]
    return f"/{found.containing_service.full_name}/{found.name}"


def method(name: str) -> Method:
    """Return the method of this short name, as load calls it."""
    service = _METHODS[name].containing_service
    stubs = service.file.name.removesuffix(".proto").replace("/", ".") + "_pb2"
    return find(import_stubs(stubs), service.full_name, name, where=stubs)


def id_of(text: str) -> UUID:
    """Return the id of a text; in SQL it is `md5(text)::uuid`."""
    return UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())


def merchant_id(merchant: int) -> UUID:
    """Return the id of a merchant."""
    return id_of(f"merchant {merchant}")


def customer_id(merchant: int, customer: int) -> UUID:
    """Return the id of a merchant's customer."""
    return id_of(f"customer {merchant} {customer}")


def get_summary() -> GetSummaryRequest:
    """Return the one request for a summary: of the last days."""
    today = datetime.now(UTC).date()
    first = today - timedelta(days=_SUMMARY_DAYS - 1)
    return GetSummaryRequest(period=Period(from_day=f"{first}", to_day=f"{today}"))


def get_customer(merchant: int, customer: int) -> GetCustomerRequest:
    """Return the request for a customer."""
    return GetCustomerRequest(customer_id=str(customer_id(merchant, customer)))


def list_customers() -> ListCustomersRequest:
    """Return the request for a merchant's customers."""
    return ListCustomersRequest(page_size=len(CUSTOMERS))


def bill(merchant: int, customer: int, **fields: Any) -> BillDraft:
    """Return a bill of 3 lines that is paid in full."""
    lines = [
        BillLine(description="Espresso", quantity_milli=2000, unit_price_minor=320, tax_minor=64),
        BillLine(description="Croissant", quantity_milli=1000, unit_price_minor=280),
        BillLine(description="Coffee, whole beans", quantity_milli=250, unit_price_minor=3600),
    ]
    total = 2 * 320 + 64 + 280 + 900
    return BillDraft(
        customer_id=str(customer_id(merchant, customer)),
        currency=CURRENCY,
        lines=lines,
        payments=[Payment(amount_minor=total, method=PAYMENT_METHOD_CASH)],
        **fields,
    )


class BillRequests(Iterator[bytes]):
    """Endless requests to create a bill, each new, for the customers of some merchant in turn."""

    def __init__(self, merchant: int) -> None:
        self._bills = [
            CreateBillRequest(bill=bill(merchant, customer)).SerializeToString()
            for customer in CUSTOMERS
        ]
        self._made = 0

    def __next__(self) -> bytes:
        self._made += 1
        identified = CreateBillRequest(request_id=str(uuid4())).SerializeToString()
        # Messages in a row are one message of the fields of all.
        return identified + self._bills[self._made % len(self._bills)]


class Repeated(Iterator[bytes]):
    """Requests again and again; can be pickled, as what is sent to generators of load has to be."""

    def __init__(self, requests: Iterable[Message]) -> None:
        self._requests = [request.SerializeToString() for request in requests]
        self._made = 0

    def __next__(self) -> bytes:
        self._made += 1
        return self._requests[self._made % len(self._requests)]
