"""What is there of the bills to be created, and of their customers."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    Date,
    Text,
    Uuid,
    any_,
    bindparam,
    column,
    func,
    null,
    select,
    union_all,
)

from domain.model.ledger import Account, FreeCredit, OpenDebit
from domain.ports import BillReference, Resolved
from server.storage.schema import (
    bill,
    customer,
    customer_day,
    customer_phone,
    customer_stats,
    free_credit,
    open_debit,
)
from server.storage.statements import Statement, of_merchant

_REFERENCE: Final = (
    func.unnest(
        bindparam("bill_ids", type_=ARRAY(Uuid)),
        bindparam("customer_ids", type_=ARRAY(Uuid)),
        bindparam("phones", type_=ARRAY(Text)),
        bindparam("external_ids", type_=ARRAY(Text)),
        bindparam("days", type_=ARRAY(Date)),
    )
    .table_valued(
        column("bill_id", Uuid),
        column("customer_id", Uuid),
        column("phone", Text),
        column("external_id", Text),
        column("day", Date),
        with_ordinality="position",
    )
    .render_derived(name="reference")
)
_BY_ID: Final = customer.alias("by_id")
_BY_EXTERNAL_ID: Final = customer.alias("by_external_id")
_FOUND_ID: Final = func.coalesce(
    _BY_ID.c.customer_id, customer_phone.c.customer_id, _BY_EXTERNAL_ID.c.customer_id
)
_DAYS: Final = (of_merchant(customer_day), customer_day.c.customer_id == _FOUND_ID)
RESOLVE: Final = Statement(
    select(
        bill.c.digest,
        _FOUND_ID.label("customer_id"),
        (customer_stats.c.outstanding_minor + customer_stats.c.credit_minor > 0).label("unsettled"),
        select(func.max(customer_day.c.day))
        .where(*_DAYS, customer_day.c.day <= _REFERENCE.c.day)
        .scalar_subquery()
        .label("visit_until"),
        select(func.min(customer_day.c.day))
        .where(*_DAYS, customer_day.c.day > _REFERENCE.c.day)
        .scalar_subquery()
        .label("visit_after"),
    )
    .select_from(
        _REFERENCE.outerjoin(bill, of_merchant(bill) & (bill.c.bill_id == _REFERENCE.c.bill_id))
        .outerjoin(
            _BY_ID,
            of_merchant(_BY_ID) & (_BY_ID.c.customer_id == _REFERENCE.c.customer_id),
        )
        .outerjoin(
            customer_phone,
            of_merchant(customer_phone) & (customer_phone.c.phone == _REFERENCE.c.phone),
        )
        .outerjoin(
            _BY_EXTERNAL_ID,
            (of_merchant(_BY_EXTERNAL_ID))
            & (_BY_EXTERNAL_ID.c.external_id == _REFERENCE.c.external_id),
        )
        .outerjoin(
            customer_stats,
            of_merchant(customer_stats) & (customer_stats.c.customer_id == _FOUND_ID),
        )
    )
    .order_by(_REFERENCE.c.position)
)

_OF_CUSTOMERS: Final = any_(bindparam("customer_ids", type_=ARRAY(Uuid)))
ACCOUNTS: Final = Statement(
    union_all(
        select(
            open_debit.c.customer_id,
            open_debit.c.entry_id,
            open_debit.c.bill_id,
            open_debit.c.entered_on,
            open_debit.c.due_on,
            open_debit.c.revision,
            open_debit.c.ordinal,
            open_debit.c.open_minor.label("minor"),
        ).where(of_merchant(open_debit), open_debit.c.customer_id == _OF_CUSTOMERS),
        select(
            free_credit.c.customer_id,
            free_credit.c.entry_id,
            null(),
            free_credit.c.entered_on,
            null(),
            free_credit.c.revision,
            free_credit.c.ordinal,
            free_credit.c.free_minor,
        ).where(of_merchant(free_credit), free_credit.c.customer_id == _OF_CUSTOMERS),
    )
)


def resolve_arguments(references: Sequence[BillReference]) -> dict[str, Any]:
    """Return the parameters of `RESOLVE`."""
    return {
        "bill_ids": [reference.bill_id for reference in references],
        "customer_ids": [reference.customer_id for reference in references],
        "phones": [reference.phone for reference in references],
        "external_ids": [reference.external_id for reference in references],
        "days": [reference.business_day for reference in references],
    }


def to_resolved(row: asyncpg.Record) -> Resolved:
    """Return what a row of `RESOLVE` says."""
    visits: list[date | None] = [row["visit_until"], row["visit_after"]]
    return Resolved(
        digest=row["digest"],
        customer_id=row["customer_id"],
        has_open_items=bool(row["unsettled"]),
        visits=tuple(visit for visit in visits if visit is not None),
    )


def to_accounts(rows: Sequence[asyncpg.Record]) -> dict[UUID, Account]:
    """Return the accounts that the rows of `ACCOUNTS` make up."""
    debits: dict[UUID, list[OpenDebit]] = {}
    credits_: dict[UUID, list[FreeCredit]] = {}
    for row in rows:
        customer_id, entry_id, bill_id, entered_on, due_on, revision, ordinal, minor = row
        if bill_id is None:
            credit = FreeCredit(entry_id, entered_on, revision, ordinal, minor)
            credits_.setdefault(customer_id, []).append(credit)
        else:
            debit = OpenDebit(entry_id, bill_id, entered_on, due_on, revision, ordinal, minor)
            debits.setdefault(customer_id, []).append(debit)
    return {
        customer_id: Account(debits.get(customer_id, []), credits_.get(customer_id, []))
        for customer_id in debits.keys() | credits_.keys()
    }
