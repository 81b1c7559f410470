"""What is there of the bills to be created, and of their customers."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Date,
    FromClause,
    ScalarSelect,
    Text,
    Uuid,
    any_,
    bindparam,
    column,
    func,
    null,
    select,
    true,
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
    ledger_entry,
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


def _one(
    value: ColumnElement[Any], table: FromClause, *wanted: ColumnElement[bool]
) -> ScalarSelect[Any]:
    """Return a value of the row that a unique index leads to.

    Each reference looks its rows up by itself: joined as tables, they would be read whole wherever
    the planner believes that a merchant has few rows, as it does of one that is just being filled.
    """
    found = select(value).where(of_merchant(table), *wanted).correlate_except(table)
    return found.scalar_subquery()


# Out of a subquery the id is a plain column. Compared with the expression itself, the rows could
# not be found by an index, as row-level security lets only leakproof conditions into one.
_FOUND: Final = (
    select(
        func.coalesce(
            _one(
                customer.c.customer_id, customer, customer.c.customer_id == _REFERENCE.c.customer_id
            ),
            _one(
                customer_phone.c.customer_id,
                customer_phone,
                customer_phone.c.phone == _REFERENCE.c.phone,
            ),
            _one(
                customer.c.customer_id, customer, customer.c.external_id == _REFERENCE.c.external_id
            ),
        ).label("customer_id")
    )
    .offset(0)
    .lateral("found")
)
_TAKEN: Final = (
    select(func.array_agg(ledger_entry.c.entry_id))
    .where(
        of_merchant(ledger_entry),
        ledger_entry.c.entry_id == any_(bindparam("entry_ids", type_=ARRAY(Uuid))),
    )
    .scalar_subquery()
    .label("taken")
)
_OF_FOUND: Final = customer_day.c.customer_id == _FOUND.c.customer_id
RESOLVE: Final = Statement(
    select(
        _one(bill.c.digest, bill, bill.c.bill_id == _REFERENCE.c.bill_id).label("digest"),
        _FOUND.c.customer_id,
        _one(
            customer_stats.c.outstanding_minor + customer_stats.c.credit_minor > 0,
            customer_stats,
            customer_stats.c.customer_id == _FOUND.c.customer_id,
        ).label("unsettled"),
        _one(
            func.max(customer_day.c.day),
            customer_day,
            _OF_FOUND,
            customer_day.c.day <= _REFERENCE.c.day,
        ).label("visit_until"),
        _one(
            func.min(customer_day.c.day),
            customer_day,
            _OF_FOUND,
            customer_day.c.day > _REFERENCE.c.day,
        ).label("visit_after"),
        _TAKEN,
    )
    .select_from(_REFERENCE.join(_FOUND, true()))
    .order_by(_REFERENCE.c.position)
)
"""Finds what each reference of the parameters names, in their order.

Every row also has which of the given ids are those of ledger entries.
"""

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


def resolve_arguments(
    references: Sequence[BillReference], entry_ids: Sequence[UUID]
) -> dict[str, Any]:
    """Return the parameters of `RESOLVE`."""
    return {
        "entry_ids": entry_ids,
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
