"""Requests of clients, written shortly: a test says what matters to it."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from google.protobuf.timestamp_pb2 import Timestamp

from patron.bill.v1.bill_pb2 import PAYMENT_METHOD_CASH, Bill, BillDraft, BillLine, Payment
from patron.bill.v1.bill_service_pb2 import (
    CreateBillRequest,
    ImportBillsRequest,
    ImportBillsResponse,
)


def instant(when: datetime) -> Timestamp:
    """Return an instant as clients send it."""
    timestamp = Timestamp()
    timestamp.FromDatetime(when)
    return timestamp


def line(unit_price_minor: int = 1000, **fields: Any) -> BillLine:
    """Return one piece of something, unless told otherwise."""
    piece: dict[str, Any] = {"description": "Tea", "quantity_milli": 1000}
    return BillLine(**piece | {"unit_price_minor": unit_price_minor} | fields)


def payment(amount_minor: int, **fields: Any) -> Payment:
    """Return a payment in cash, made with the bill, unless told otherwise."""
    return Payment(**{"amount_minor": amount_minor, "method": PAYMENT_METHOD_CASH} | fields)


def bill_of(total_minor: int = 1000, *, paid_minor: int = 0, **fields: Any) -> BillDraft:
    """Return a draft of one line and at most one payment, of a walk-in unless told otherwise."""
    usual = {
        "currency": "USD",
        "lines": [line(total_minor)],
        "payments": [payment(paid_minor)] if paid_minor else [],
    }
    return BillDraft(**usual | fields)


def creation(bill: BillDraft, request_id: UUID | None = None) -> CreateBillRequest:
    """Return the request that creates a bill, with an id of its own unless told otherwise."""
    return CreateBillRequest(request_id=str(request_id or uuid4()), bill=bill)


async def create_bill(client: Any, total_minor: int = 1000, **fields: Any) -> Bill:
    """Create a bill, drafted as `bill_of` does, and return it."""
    answer = await client.bills.CreateBill(creation(bill_of(total_minor, **fields)))
    bill: Bill = answer.bill
    return bill


async def import_bills(client: Any, *batches: list[BillDraft]) -> ImportBillsResponse:
    """Import bills batch by batch and return the answer."""
    requests = [ImportBillsRequest(bills=batch) for batch in batches]
    answer: ImportBillsResponse = await client.bills.ImportBills(iter(requests))
    return answer


async def trailers(call: Any) -> dict[str, str]:
    """Return the trailers of a call."""
    return {key: value for key, value in await call.trailing_metadata() if isinstance(value, str)}
