"""A posting of bills, as one statement."""

from typing import Any, Final

from sqlalchemy import ARRAY, CollectionAggregate, Uuid, any_, bindparam, delete, update

from domain.model.bill import Bill
from domain.ports import Posting
from server.storage import customers
from server.storage.changes import AuditRecord, as_json, audit_arguments, change
from server.storage.schema import (
    activity_gap,
    activity_gap_month,
    allocation,
    bill,
    bill_line,
    customer_day,
    customer_month,
    customer_stats,
    day_stats,
    free_credit,
    ledger_entry,
    open_debit,
)
from server.storage.statements import (
    Merge,
    added,
    arrays,
    earliest,
    insert_rows,
    latest,
    merge_rows,
    of_merchant,
    parameter,
    replaced,
)

_BILL: Final = (
    "bill_id",
    "number",
    "customer_id",
    "client_reference",
    "currency",
    "subtotal_minor",
    "discount_minor",
    "tax_minor",
    "billed_at",
    "business_day",
    "due_on",
    "note",
    "created_at",
    "digest",
)
_LINE: Final = (
    "bill_id",
    "position",
    "description",
    "quantity_milli",
    "unit_price_minor",
    "discount_minor",
    "tax_minor",
)
_ENTRY: Final = (
    "entry_id",
    "kind",
    "bill_id",
    "customer_id",
    "amount_minor",
    "entered_on",
    "due_on",
    "happened_at",
    "payment_method",
    "ordinal",
)
_ALLOCATION: Final = ("ordinal", "credit_id", "debit_id", "amount_minor")
_DEBIT: Final = (
    "entry_id",
    "customer_id",
    "bill_id",
    "entered_on",
    "due_on",
    "revision",
    "ordinal",
    "open_minor",
)
_CREDIT: Final = ("entry_id", "customer_id", "entered_on", "revision", "ordinal", "free_minor")

_CUSTOMER_STATS: Final[dict[str, Merge]] = {
    "bills": added,
    "sales_minor": added,
    "outstanding_minor": added,
    "credit_minor": added,
    "visit_days": added,
    "first_day": earliest,
    "last_day": latest,
}
_CUSTOMER_MONTH: Final[dict[str, Merge]] = {
    "bills": added,
    "sales_minor": added,
    "outstanding_minor": added,
    "last_day": latest,
}
_CUSTOMER_DAY: Final[dict[str, Merge]] = {"bills": added, "sales_minor": added}
_DAY_STATS: Final[dict[str, Merge]] = dict.fromkeys(
    (
        "bills",
        "sales_minor",
        "walk_in_bills",
        "paid_minor",
        "outstanding_minor",
        "active_customers",
        "new_customers",
    ),
    added,
)
_GAP: Final[dict[str, Merge]] = {"customers": added}


def _any(name: str) -> CollectionAggregate[bool]:
    return any_(bindparam(name, type_=ARRAY(Uuid)))


POST: Final = change(
    *customers.CREATIONS,
    insert_rows(bill, *_BILL, same=("revision",)),
    insert_rows(bill_line, *_LINE),
    insert_rows(ledger_entry, *_ENTRY, same=("revision",)),
    insert_rows(allocation, *_ALLOCATION, same=("revision",)),
    update(bill)
    .where(of_merchant(bill), bill.c.bill_id == _any("paid_bill_ids"))
    .values(revision=parameter(bill.c.revision)),
    merge_rows(open_debit, ("entry_id",), dict.fromkeys(_DEBIT[1:], replaced)),
    delete(open_debit).where(
        of_merchant(open_debit), open_debit.c.entry_id == _any("closed_debit_ids")
    ),
    merge_rows(free_credit, ("entry_id",), dict.fromkeys(_CREDIT[1:], replaced)),
    delete(free_credit).where(
        of_merchant(free_credit), free_credit.c.entry_id == _any("used_credit_ids")
    ),
    merge_rows(day_stats, ("day",), _DAY_STATS),
    merge_rows(customer_stats, ("customer_id",), _CUSTOMER_STATS, same=("revision",)),
    merge_rows(customer_day, ("customer_id", "day"), _CUSTOMER_DAY),
    merge_rows(customer_month, ("customer_id", "month"), _CUSTOMER_MONTH),
    merge_rows(activity_gap, ("day", "previous_day"), _GAP),
    merge_rows(activity_gap_month, ("month", "previous_month"), _GAP),
)
"""Writes a posting: all rows of a table as one parameter for each column."""


def posting_arguments(posting: Posting) -> dict[str, Any]:
    """Return the parameters of `POST` that the posting decides."""
    created = {bill_.id for bill_, _ in posting.bills}
    debits = posting.debits.values()
    credits_ = posting.credits.values()
    return {
        **customers.creation_arguments([(each, None) for each in posting.customers]),
        **_bills(posting),
        **_ledger(posting),
        **_rollups(posting),
        "paid_bill_ids": [debit.bill_id for _, debit in debits if debit.bill_id not in created],
        "closed_debit_ids": [debit.entry_id for _, debit in debits if not debit.open_minor],
        "used_credit_ids": [credit.entry_id for _, credit in credits_ if not credit.free_minor],
        **audit_arguments(
            [
                *(
                    AuditRecord("customer.create", each.id, after=as_json(each))
                    for each in posting.customers
                ),
                *(AuditRecord("bill.create", each.id) for each, _ in posting.bills),
            ]
        ),
    }


def _bills(posting: Posting) -> dict[str, Any]:
    return {
        **arrays(bill, _BILL, [(*_bill_row(each), digest) for each, digest in posting.bills]),
        **arrays(
            bill_line,
            _LINE,
            [
                (
                    each.id,
                    position,
                    line.description,
                    line.quantity_milli,
                    line.unit_price_minor,
                    line.discount_minor,
                    line.tax_minor,
                )
                for each, _ in posting.bills
                for position, line in enumerate(each.lines)
            ],
        ),
    }


def _bill_row(each: Bill) -> tuple[Any, ...]:
    return (
        each.id,
        each.number,
        each.customer_id,
        each.client_reference,
        each.currency,
        each.totals.subtotal_minor,
        each.totals.discount_minor,
        each.totals.tax_minor,
        each.billed_at,
        each.business_day,
        each.due_on,
        each.note,
        each.created_at,
    )


def _ledger(posting: Posting) -> dict[str, Any]:
    return {
        **arrays(
            ledger_entry,
            _ENTRY,
            [
                (
                    entry.id,
                    entry.kind.value,
                    entry.bill_id,
                    entry.customer_id,
                    entry.amount_minor,
                    entry.entered_on,
                    entry.due_on,
                    entry.instant,
                    entry.method,
                    entry.ordinal,
                )
                for entry in posting.entries
            ],
        ),
        **arrays(
            allocation,
            _ALLOCATION,
            [
                (ordinal, each.credit.entry_id, each.debit.entry_id, each.amount_minor)
                for ordinal, each in enumerate(posting.allocations)
            ],
        ),
        **arrays(
            open_debit,
            _DEBIT,
            [
                (
                    debit.entry_id,
                    customer_id,
                    debit.bill_id,
                    debit.entered_on,
                    debit.due_on,
                    debit.revision,
                    debit.ordinal,
                    debit.open_minor,
                )
                for customer_id, debit in posting.debits.values()
                if debit.open_minor
            ],
        ),
        **arrays(
            free_credit,
            _CREDIT,
            [
                (
                    credit.entry_id,
                    customer_id,
                    credit.entered_on,
                    credit.revision,
                    credit.ordinal,
                    credit.free_minor,
                )
                for customer_id, credit in posting.credits.values()
                if credit.free_minor
            ],
        ),
    }


def _rollups(posting: Posting) -> dict[str, Any]:
    deltas = posting.deltas
    return {
        **arrays(
            day_stats,
            ("day", *_DAY_STATS),
            [(day, *_figures(delta, _DAY_STATS)) for day, delta in deltas.days.items()],
        ),
        **arrays(
            customer_stats,
            ("customer_id", *_CUSTOMER_STATS),
            [(key, *_figures(delta, _CUSTOMER_STATS)) for key, delta in deltas.customers.items()],
        ),
        **arrays(
            customer_day,
            ("customer_id", "day", *_CUSTOMER_DAY),
            [
                (*key, *_figures(delta, _CUSTOMER_DAY))
                for key, delta in deltas.customer_days.items()
            ],
        ),
        **arrays(
            customer_month,
            ("customer_id", "month", *_CUSTOMER_MONTH),
            [
                (*key, *_figures(delta, _CUSTOMER_MONTH))
                for key, delta in deltas.customer_months.items()
            ],
        ),
        **arrays(
            activity_gap,
            ("day", "previous_day", "customers"),
            [(*key, customers) for key, customers in deltas.day_gaps.items() if customers],
        ),
        **arrays(
            activity_gap_month,
            ("month", "previous_month", "customers"),
            [(*key, customers) for key, customers in deltas.month_gaps.items() if customers],
        ),
    }


def _figures(delta: object, columns: dict[str, Merge]) -> list[Any]:
    return [getattr(delta, name) for name in columns]
