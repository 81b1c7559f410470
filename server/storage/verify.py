"""Proving that the bills are sound, and that the ledger and the rollups follow from them."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import Integer, Numeric, Select, and_, cast, func, or_, select

from domain.model.ledger import EntryKind
from server.storage.recomputation import ROLLUPS, TOTAL_MINOR
from server.storage.replay import DifferentAllocation, replayed_allocations
from server.storage.schema import (
    bill,
    bill_line,
    customer,
    customer_phone,
    ledger_entry,
    merchant,
)
from server.storage.statements import MERCHANT_ID, OWN_MERCHANT, Statement, of_merchant


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not what it has to be."""

    table: str
    key: dict[str, str]
    column: str
    stored: str
    recomputed: str


@dataclass(frozen=True, slots=True)
class MerchantReport:
    """What was found of one merchant."""

    merchant_id: UUID
    differences: list[Difference]


class _Comparison:
    """Compares the stored rows of a table with what they have to be."""

    def __init__(
        self, table: str, key: Sequence[str], stored: Select[Any], rows: Select[Any]
    ) -> None:
        self._table = table
        self._key = key
        is_, must = stored.subquery("stored"), rows.subquery("recomputed")
        self._columns = [name for name, _ in must.c.items() if name not in key]

        def value(side: Any, name: str) -> Any:  # noqa: ANN401
            # A row of nothing but zeros is as good as none.
            column = side.c[name]
            return func.coalesce(column, 0) if isinstance(column.type, Integer) else column

        pairs = [(value(is_, name), value(must, name)) for name in self._columns]
        self._statement = Statement(
            select(
                *(func.coalesce(is_.c[name], must.c[name]) for name in key),
                *(value for pair in pairs for value in pair),
            )
            .select_from(
                is_.join(must, and_(*(is_.c[name] == must.c[name] for name in key)), full=True)
            )
            .where(or_(*(stored.is_distinct_from(other) for stored, other in pairs)))
        )

    async def differences(
        self, connection: "asyncpg.Connection[asyncpg.Record]", merchant_id: UUID
    ) -> list[Difference]:
        rows = await connection.fetch(
            self._statement.sql, *self._statement.arguments({"merchant_id": merchant_id})
        )
        return [difference for row in rows for difference in self._of_row(row)]

    def _of_row(self, row: asyncpg.Record) -> Iterator[Difference]:
        key = dict(zip(self._key, map(str, row.values()), strict=False))
        values = list(row.values())[len(self._key) :]
        for column, stored, must in zip(self._columns, values[::2], values[1::2], strict=True):
            if stored != must:
                yield Difference(self._table, key, column, str(stored), str(must))


# In 64 bits, a product that was tampered with would end the comparison instead of failing it.
_GROSS: Final = func.div(
    cast(bill_line.c.quantity_milli, Numeric) * bill_line.c.unit_price_minor + 500, 1000
)
_TOTALS: Final = _Comparison(
    "bill",
    ("bill_id",),
    select(bill.c.bill_id, bill.c.subtotal_minor, bill.c.discount_minor, bill.c.tax_minor).where(
        of_merchant(bill)
    ),
    select(
        bill_line.c.bill_id,
        func.sum(_GROSS).label("subtotal_minor"),
        func.sum(bill_line.c.discount_minor).label("discount_minor"),
        func.sum(bill_line.c.tax_minor).label("tax_minor"),
    )
    .where(of_merchant(bill_line))
    .group_by(bill_line.c.bill_id),
)
# After a gap only the next bill is wrong: the others follow one another.
_NUMBERS: Final = _Comparison(
    "bill",
    ("bill_id",),
    select(bill.c.bill_id, bill.c.number).where(of_merchant(bill)),
    select(
        bill.c.bill_id,
        (func.coalesce(func.lag(bill.c.number).over(order_by=bill.c.number), 0) + 1).label(
            "number"
        ),
    ).where(of_merchant(bill)),
)
_NEXT_NUMBER: Final = _Comparison(
    "merchant",
    ("merchant_id",),
    select(merchant.c.merchant_id, merchant.c.next_bill_number).where(OWN_MERCHANT),
    select(
        MERCHANT_ID.label("merchant_id"),
        (func.coalesce(func.max(bill.c.number), 0) + 1).label("next_bill_number"),
    ).where(of_merchant(bill)),
)
_PHONES: Final = _Comparison(
    "customer_phone",
    ("phone",),
    select(customer_phone.c.phone, customer_phone.c.customer_id).where(of_merchant(customer_phone)),
    select(customer.c.phone, customer.c.customer_id).where(
        of_merchant(customer), customer.c.phone.is_not(None)
    ),
)
_DEBITS: Final = _Comparison(
    "ledger_entry",
    ("entry_id",),
    select(
        ledger_entry.c.entry_id,
        ledger_entry.c.customer_id,
        ledger_entry.c.amount_minor,
        ledger_entry.c.entered_on,
        ledger_entry.c.due_on,
    ).where(of_merchant(ledger_entry), ledger_entry.c.kind == EntryKind.BILL.value),
    select(
        bill.c.bill_id.label("entry_id"),
        bill.c.customer_id,
        TOTAL_MINOR.label("amount_minor"),
        bill.c.business_day.label("entered_on"),
        bill.c.due_on,
    ).where(of_merchant(bill)),
)
_PAYMENTS: Final = _Comparison(
    "ledger_entry",
    ("entry_id",),
    select(ledger_entry.c.entry_id, ledger_entry.c.customer_id).where(
        of_merchant(ledger_entry), ledger_entry.c.kind == EntryKind.PAYMENT.value
    ),
    select(ledger_entry.c.entry_id, bill.c.customer_id)
    .select_from(ledger_entry.join(bill, ledger_entry.c.bill_id == bill.c.bill_id))
    .where(
        of_merchant(ledger_entry),
        of_merchant(bill),
        ledger_entry.c.kind == EntryKind.PAYMENT.value,
    ),
)
_ROLLUPS: Final = [
    _Comparison(
        rollup.table.name,
        rollup.key,
        select(*(rollup.table.c[name] for name, _ in rollup.rows.selected_columns.items())).where(
            of_merchant(rollup.table)
        ),
        rollup.rows,
    )
    for rollup in ROLLUPS
]
_COMPARISONS: Final = (
    _TOTALS,
    _NUMBERS,
    _NEXT_NUMBER,
    _PHONES,
    _DEBITS,
    _PAYMENTS,
    *_ROLLUPS,
)
_MERCHANTS: Final = "SELECT merchant_id FROM merchant ORDER BY merchant_id"


async def verify(maintenance_url: str) -> AsyncIterator[MerchantReport]:
    """Compare what is kept of every merchant with a recomputation from its bills.

    Bills are compared with their lines, and with their numbers' order; the phones to find customers
    by with those of the customers; debits and payments with their bills; allocations with a replay
    of all entries in their order; and every rollup with its definition. Each merchant is compared
    in one snapshot, while it is served.

    Args:
        maintenance_url: The database, as the maintenance role.

    Yields:
        A report on each merchant.
    """
    connection = await asyncpg.connect(maintenance_url)
    try:
        for row in await connection.fetch(_MERCHANTS):
            merchant_id = row["merchant_id"]
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                differences = [
                    difference
                    for comparison in _COMPARISONS
                    for difference in await comparison.differences(connection, merchant_id)
                ]
                differences += [
                    _of_allocation(different)
                    async for different in replayed_allocations(connection, merchant_id)
                ]
            yield MerchantReport(merchant_id, differences)
    finally:
        await connection.close()


def _of_allocation(different: DifferentAllocation) -> Difference:
    return Difference(
        "allocation",
        {"credit_id": str(different.credit_id), "debit_id": str(different.debit_id)},
        "amount_minor",
        str(different.stored_minor),
        str(different.replayed_minor),
    )
