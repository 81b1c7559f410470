"""From rows to the values of the domain."""

from typing import Any, Final

import asyncpg
import msgspec
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from domain.model.bill import Bill, Line, Payment, Totals
from domain.model.customer import Customer
from domain.model.feedback import Feedback, Opinion
from domain.model.ledger import EntryKind
from domain.model.merchant import Merchant, Revision
from server.storage.schema import (
    bill,
    bill_line,
    customer,
    database_epoch,
    feedback,
    ledger_entry,
    merchant,
    open_debit,
)

MERCHANT: Final[list[ColumnElement[Any]]] = [
    merchant.c.merchant_id,
    merchant.c.name.label("merchant_name"),
    merchant.c.currency.label("merchant_currency"),
    merchant.c.time_zone,
    merchant.c.region,
    merchant.c.revision.label("merchant_revision"),
    merchant.c.next_bill_number,
    select(database_epoch.c.epoch).scalar_subquery().label("epoch"),
]
"""The columns of a merchant."""

CUSTOMER: Final[list[ColumnElement[Any]]] = [
    column for column in customer.c if column.name != "merchant_id"
]
"""The columns of a customer."""

FEEDBACK: Final[list[ColumnElement[Any]]] = [
    column for column in feedback.c if column.name != "merchant_id"
]
"""The columns of feedback."""

_LINES: Final = msgspec.json.Decoder(list[tuple[str, int, int, int, int]])
_PAYMENTS: Final = msgspec.json.Decoder(list[Payment])


def to_merchant(row: asyncpg.Record) -> Merchant:
    """Return the merchant of the columns `MERCHANT`."""
    return Merchant(
        id=row["merchant_id"],
        name=row["merchant_name"],
        currency=row["merchant_currency"],
        time_zone=row["time_zone"],
        region=row["region"],
        revision=Revision(row["epoch"], row["merchant_revision"]),
    )


def to_customer(row: asyncpg.Record) -> Customer:
    """Return the customer of the columns `CUSTOMER`."""
    return Customer(
        id=row["customer_id"],
        external_id=row["external_id"] or "",
        name=row["name"],
        phone=row["phone"] or "",
        note=row["note"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        revision=row["revision"],
    )


def to_feedback(row: asyncpg.Record) -> Feedback:
    """Return the feedback of the columns `FEEDBACK`."""
    return Feedback(
        id=row["feedback_id"],
        subject=row["subject"],
        opinion=Opinion(row["feature"], row["rating"], row["comment"]),
        app_version=row["app_version"],
        platform=row["platform"],
        sent_at=row["sent_at"],
        counted_at=row["counted_at"],
        revision=row["revision"],
    )


def select_bills() -> Select[Any]:
    """Return the selection of bills, each with its lines and payments as JSON."""
    of_bill = bill_line.c.merchant_id == bill.c.merchant_id, bill_line.c.bill_id == bill.c.bill_id
    line = func.json_build_array(
        bill_line.c.description,
        bill_line.c.quantity_milli,
        bill_line.c.unit_price_minor,
        bill_line.c.discount_minor,
        bill_line.c.tax_minor,
    )
    lines = select(func.json_agg(aggregate_order_by(line, bill_line.c.position))).where(*of_bill)
    payment = func.json_build_object(
        "id", ledger_entry.c.entry_id,
        "amount_minor", ledger_entry.c.amount_minor,
        "method", ledger_entry.c.payment_method,
        "paid_at", ledger_entry.c.happened_at,
    )  # fmt: skip
    payments = select(func.json_agg(aggregate_order_by(payment, ledger_entry.c.ordinal))).where(
        ledger_entry.c.merchant_id == bill.c.merchant_id,
        ledger_entry.c.bill_id == bill.c.bill_id,
        ledger_entry.c.kind == EntryKind.PAYMENT.value,
    )
    open_ = select(open_debit.c.open_minor).where(
        open_debit.c.merchant_id == bill.c.merchant_id, open_debit.c.entry_id == bill.c.bill_id
    )
    return select(
        *(column for column in bill.c if column.name not in ("merchant_id", "digest")),
        func.coalesce(open_.scalar_subquery(), 0).label("open_minor"),
        lines.scalar_subquery().label("lines"),
        payments.scalar_subquery().label("payments"),
    )


def to_bill(row: asyncpg.Record) -> Bill:
    """Return the bill of `select_bills`."""
    return Bill(
        id=row["bill_id"],
        number=row["number"],
        customer_id=row["customer_id"],
        client_reference=row["client_reference"],
        currency=row["currency"],
        lines=tuple(Line(*line) for line in _LINES.decode(row["lines"])),
        totals=Totals(row["subtotal_minor"], row["discount_minor"], row["tax_minor"]),
        open_minor=row["open_minor"],
        payments=tuple(_PAYMENTS.decode(row["payments"])) if row["payments"] else (),
        billed_at=row["billed_at"],
        business_day=row["business_day"],
        due_on=row["due_on"],
        note=row["note"],
        created_at=row["created_at"],
        revision=row["revision"],
    )
