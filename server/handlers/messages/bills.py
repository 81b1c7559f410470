"""Bills as messages."""

from typing import Final
from uuid import UUID

from domain.model.bill import (
    Bill,
    BillDraft,
    BillStatus,
    Line,
    Payment,
    PaymentDraft,
    PaymentMethod,
)
from domain.ports import BillFilter
from patron.bill.v1 import bill_pb2
from patron.bill.v1.bill_service_pb2 import ListBillsRequest
from server.handlers.messages.times import from_day, from_instant, to_day, to_instant

_STATUSES: Final = {
    status: bill_pb2.BillStatus.Value(f"BILL_STATUS_{status.name}") for status in BillStatus
}
_METHODS: Final = {
    method: bill_pb2.PaymentMethod.Value(f"PAYMENT_METHOD_{method.name}")
    for method in PaymentMethod
}
_METHOD_OF: Final = {number: method for method, number in _METHODS.items()}


def to_draft(message: bill_pb2.BillDraft, digest: bytes, place: str) -> BillDraft:
    """Return the draft at `place` in its request, with the keyed hash of its message.

    Raises:
        InvalidRequestError: The calendar has no such day or instant.
    """
    customer = message.WhichOneof("customer")
    expected = message.HasField("expected_total_minor")
    billed = message.HasField("bill_time")
    return BillDraft(
        id=UUID(message.id) if message.id else None,
        customer_id=UUID(message.customer_id) if customer == "customer_id" else None,
        phone=message.phone if customer == "phone" else None,
        external_id=message.external_id if customer == "external_id" else None,
        customer_name=message.customer_name,
        client_reference=message.client_reference,
        currency=message.currency,
        lines=tuple(
            Line(
                line.description,
                line.quantity_milli,
                line.unit_price_minor,
                line.discount_minor,
                line.tax_minor,
            )
            for line in message.lines
        ),
        expected_total_minor=message.expected_total_minor if expected else None,
        payments=tuple(
            _to_payment(payment, f"{place}.payments[{index}]")
            for index, payment in enumerate(message.payments)
        ),
        billed_at=to_instant(message.bill_time, f"{place}.bill_time") if billed else None,
        due_on=to_day(message.due_day, f"{place}.due_day"),
        note=message.note,
        digest=digest,
    )


def _to_payment(message: bill_pb2.Payment, place: str) -> PaymentDraft:
    paid = message.HasField("pay_time")
    return PaymentDraft(
        id=UUID(message.id) if message.id else None,
        amount_minor=message.amount_minor,
        method=_METHOD_OF[message.method],
        paid_at=to_instant(message.pay_time, f"{place}.pay_time") if paid else None,
    )


def to_filter(request: ListBillsRequest) -> BillFilter:
    """Return which bills a request wants; raises InvalidRequestError for a day that is none."""
    return BillFilter(
        customer_id=UUID(request.customer_id) if request.customer_id else None,
        from_day=to_day(request.from_day, "from_day"),
        to_day=to_day(request.to_day, "to_day"),
    )


def from_bill(bill: Bill) -> bill_pb2.Bill:
    """Return a bill as a message."""
    return bill_pb2.Bill(
        id=str(bill.id),
        number=bill.number,
        customer_id="" if bill.customer_id is None else str(bill.customer_id),
        client_reference=bill.client_reference,
        status=_STATUSES[bill.status],
        currency=bill.currency,
        lines=[_from_line(line) for line in bill.lines],
        subtotal_minor=bill.totals.subtotal_minor,
        discount_minor=bill.totals.discount_minor,
        tax_minor=bill.totals.tax_minor,
        total_minor=bill.totals.total_minor,
        open_minor=bill.open_minor,
        payments=[_from_payment(payment) for payment in bill.payments],
        bill_time=from_instant(bill.billed_at),
        business_day=from_day(bill.business_day),
        due_day=from_day(bill.due_on),
        note=bill.note,
        create_time=from_instant(bill.created_at),
        etag=bill.etag,
    )


def _from_line(line: Line) -> bill_pb2.BillLine:
    return bill_pb2.BillLine(
        description=line.description,
        quantity_milli=line.quantity_milli,
        unit_price_minor=line.unit_price_minor,
        discount_minor=line.discount_minor,
        tax_minor=line.tax_minor,
    )


def _from_payment(payment: Payment) -> bill_pb2.Payment:
    return bill_pb2.Payment(
        id=str(payment.id),
        amount_minor=payment.amount_minor,
        method=_METHODS[payment.method],
        pay_time=from_instant(payment.paid_at),
    )
