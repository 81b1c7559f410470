"""Reports from the kept totals in PostgreSQL."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Date,
    Table,
    Text,
    bindparam,
    case,
    cast,
    column,
    func,
    or_,
    select,
    true,
)

from domain.model.analytics import Figures, Period, RankedCustomer, Ranking
from domain.model.caller import Caller
from domain.model.merchant import Merchant
from domain.model.paging import Page, PageRequest
from server.storage.database import Database
from server.storage.records import MERCHANT, to_merchant
from server.storage.schema import (
    activity_gap,
    activity_gap_month,
    customer,
    customer_month,
    customer_stats,
    day_stats,
    merchant,
)
from server.storage.statements import OWN_MERCHANT, Statement, of_merchant, page_of, parameter

_PERIOD: Final = (
    func.unnest(
        bindparam("from_days", type_=ARRAY(Date)),
        bindparam("to_days", type_=ARRAY(Date)),
        bindparam("counts", type_=ARRAY(Text)),
    )
    .table_valued(
        column("from_day", Date),
        column("to_day", Date),
        column("count", Text),
        with_ordinality="position",
    )
    .render_derived(name="period")
)
_SUMMED: Final = (
    "sales_minor",
    "bills",
    "paid_minor",
    "outstanding_minor",
    "walk_in_bills",
    "new_customers",
    "active_customers",
)


def _total(amounts: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a sum as the integer that it is; PostgreSQL sums integers up to a decimal."""
    return cast(func.coalesce(func.sum(amounts), 0), BigInteger)


_SUMS: Final = (
    select(*(_total(day_stats.c[name]).label(name) for name in _SUMMED))
    .where(of_merchant(day_stats), day_stats.c.day.between(_PERIOD.c.from_day, _PERIOD.c.to_day))
    .lateral("sums")
)


def _active(gaps: Table, at: ColumnElement[Any], before: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return how many customers came in the period: those whose visit before was before it."""
    return (
        select(_total(gaps.c.customers))
        .where(
            of_merchant(gaps),
            at.between(_PERIOD.c.from_day, _PERIOD.c.to_day),
            before < _PERIOD.c.from_day,
        )
        .scalar_subquery()
    )


_FIGURES: Final = Statement(
    select(
        *MERCHANT,
        *(_SUMS.c[name] for name in _SUMMED[:-1]),
        case(
            (_PERIOD.c.count == "day", _SUMS.c.active_customers),
            (
                _PERIOD.c.count == "months",
                _active(
                    activity_gap_month,
                    activity_gap_month.c.month,
                    activity_gap_month.c.previous_month,
                ),
            ),
            (
                _PERIOD.c.count == "days",
                _active(activity_gap, activity_gap.c.day, activity_gap.c.previous_day),
            ),
        ).label("active_customers"),
    )
    .select_from(merchant.join(_PERIOD, true()).join(_SUMS, true()))
    .where(OWN_MERCHANT)
    .order_by(_PERIOD.c.position)
)


def _count(period: Period) -> str:
    """Return the cheapest way to count the active customers of a period."""
    if period.from_day == period.to_day:
        return "day"
    return "months" if period.is_whole_months else "days"


_KEYS: Final = {
    Ranking.SALES: "sales_minor",
    Ranking.BILLS: "bills",
    Ranking.OUTSTANDING: "outstanding_minor",
    Ranking.RECENCY: "last_day",
}


def _ranking(table: Table, by: Ranking, *wanted: ColumnElement[bool]) -> Statement:
    key = table.c[_KEYS[by]]
    after_key, after_id = (
        parameter(key, "after_key"),
        parameter(table.c.customer_id, "after_customer_id"),
    )
    page = (
        select(
            table.c.customer_id,
            customer.c.external_id,
            customer.c.name,
            table.c.sales_minor,
            table.c.bills,
            table.c.outstanding_minor,
            table.c.last_day,
            key.label("key"),
        )
        .select_from(
            table.join(
                customer,
                (customer.c.merchant_id == table.c.merchant_id)
                & (customer.c.customer_id == table.c.customer_id),
            )
        )
        .where(
            of_merchant(table),
            *wanted,
            table.c.bills > 0,
            or_(key < after_key, (key == after_key) & (table.c.customer_id > after_id)),
        )
        .order_by(key.desc(), table.c.customer_id)
    )
    return Statement(page_of(page, *MERCHANT))


_RANKINGS: Final = {by: _ranking(customer_stats, by) for by in Ranking}
_MONTH_RANKINGS: Final = {
    by: _ranking(customer_month, by, customer_month.c.month == parameter(customer_month.c.month))
    for by in Ranking
}
_TOP: Final = {
    by: (date.max if by is Ranking.RECENCY else 2**63 - 1, UUID(int=0)) for by in Ranking
}


class PostgresRollups:
    """Reads the kept totals; the port is `domain.ports.RollupReader`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def figures(
        self, caller: Caller, periods: Sequence[Period], *, active: bool
    ) -> tuple[Merchant, list[Figures]]:
        values = {
            "from_days": [period.from_day for period in periods],
            "to_days": [period.to_day for period in periods],
            "counts": [_count(period) if active else "" for period in periods],
        }
        rows = await self._database.read(caller, _FIGURES, values)
        figures = [
            Figures(period, *(row[name] for name in _SUMMED))
            for period, row in zip(periods, rows, strict=True)
        ]
        return to_merchant(rows[0]), figures

    async def ranking(
        self, caller: Caller, by: Ranking, month: date | None, page: PageRequest
    ) -> tuple[Merchant, Page[RankedCustomer]]:
        after_key, after_customer_id = page.after or _TOP[by]
        values = {
            "after_key": after_key,
            "after_customer_id": after_customer_id,
            "month": month,
            "limit": page.size + 1,
        }
        statement = (_RANKINGS if month is None else _MONTH_RANKINGS)[by]
        rows = await self._database.read(caller, statement, values)
        found = [row for row in rows if row["customer_id"] is not None]
        cut = page.cut(found, lambda last: (last["key"], last["customer_id"]))
        return to_merchant(rows[0]), Page(tuple(map(_to_ranked, cut.items)), cut.next)


def _to_ranked(row: asyncpg.Record) -> RankedCustomer:
    return RankedCustomer(
        customer_id=row["customer_id"],
        external_id=row["external_id"] or "",
        name=row["name"],
        sales_minor=row["sales_minor"],
        bills=row["bills"],
        outstanding_minor=row["outstanding_minor"],
        last_bill_day=row["last_day"],
    )
