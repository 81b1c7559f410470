"""Proving that the ledger and the rollups follow from the bills."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.types import Integer

from domain.model.ledger import EntryKind
from server.storage.recomputation import ROLLUPS, TOTAL_MINOR
from server.storage.replay import DifferentAllocation, replayed_allocations
from server.storage.schema import bill, ledger_entry
from server.storage.statements import Statement, of_merchant


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
_MERCHANTS: Final = "SELECT merchant_id FROM merchant ORDER BY merchant_id"


async def verify(maintenance_url: str) -> AsyncIterator[MerchantReport]:
    """Compare what is kept of every merchant with a recomputation from its bills.

    Bills are compared with their debits, allocations with a replay of all entries in their order,
    and every rollup with its definition; each merchant in one snapshot, while it is served.

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
                    for comparison in (_DEBITS, *_ROLLUPS)
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
