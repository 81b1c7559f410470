"""Requests that are valid, to be sent as they are or spoilt."""

from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

from google.protobuf.message import Message

from patron.analytics.v1.analytics_pb2 import (
    CUSTOMER_RANKING_SALES,
    INTERVAL_DAY,
    Period,
)
from patron.analytics.v1.analytics_service_pb2 import (
    GetSummaryRequest,
    GetTimeSeriesRequest,
    ListTopCustomersRequest,
)
from patron.bill.v1.bill_service_pb2 import (
    GetBillRequest,
    ImportBillsRequest,
    ListBillsRequest,
)
from patron.customer.v1.customer_pb2 import Customer, CustomerDraft
from patron.customer.v1.customer_service_pb2 import (
    CreateCustomerRequest,
    GetCustomerRequest,
    ListCustomersRequest,
    UpdateCustomerRequest,
)
from patron.feature.v1.feature_pb2 import Feedback
from patron.feature.v1.feature_service_pb2 import GetFeaturesRequest, SendFeedbackRequest
from tests.support.bills import bill_of, creation

FEATURE: Final = "customer-analytics"


def new_id() -> str:
    """Return an id that nobody has."""
    return str(uuid4())


def create_customer(**fields: str) -> CreateCustomerRequest:
    """Return the request to create a customer."""
    return CreateCustomerRequest(request_id=new_id(), customer=CustomerDraft(**fields))


def update_customer(customer_id: str, *paths: str, **fields: Any) -> UpdateCustomerRequest:
    """Return the request to update a customer, with a mask when there are paths."""
    request = UpdateCustomerRequest(
        request_id=new_id(), customer=Customer(id=customer_id, **fields)
    )
    request.update_mask.paths.extend(paths)
    if not paths:
        request.ClearField("update_mask")
    return request


def period(from_day: str = "2025-03-01", to_day: str = "2025-03-31") -> Period:
    """Return a period; March 2025 unless told otherwise."""
    return Period(from_day=from_day, to_day=to_day)


def feedback(rating: int = 4, comment: str = "", feature: str = FEATURE) -> SendFeedbackRequest:
    """Return the request to rate the analytics, unless told of another feature."""
    given = Feedback(feature=feature, rating=rating, comment=comment)
    return SendFeedbackRequest(request_id=new_id(), feedback=given)


VALID: Final[dict[str, Callable[[], Message]]] = {
    "CreateCustomer": lambda: create_customer(name="Chen"),
    "GetCustomer": lambda: GetCustomerRequest(customer_id=new_id()),
    "ListCustomers": ListCustomersRequest,
    "UpdateCustomer": lambda: update_customer(new_id(), name="Chen"),
    "CreateBill": lambda: creation(bill_of(paid_minor=1000)),
    "GetBill": lambda: GetBillRequest(bill_id=new_id()),
    "ListBills": ListBillsRequest,
    "ImportBills": lambda: ImportBillsRequest(bills=[bill_of(id=new_id(), paid_minor=1000)]),
    "GetSummary": lambda: GetSummaryRequest(period=period()),
    "GetTimeSeries": lambda: GetTimeSeriesRequest(period=period(), interval=INTERVAL_DAY),
    "ListTopCustomers": lambda: ListTopCustomersRequest(ranking=CUSTOMER_RANKING_SALES),
    "GetFeatures": GetFeaturesRequest,
    "SendFeedback": feedback,
}
"""Makes a valid request of each method; what it refers to need not be there."""
