"""What the rollups have to be, computed from the bills and the ledger."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Select,
    Table,
    case,
    cast,
    func,
    literal,
    select,
    union_all,
)

from domain.model.ledger import EntryKind
from domain.model.rollups import NEVER
from server.storage.schema import (
    activity_gap,
    activity_gap_month,
    allocation,
    bill,
    customer_day,
    customer_month,
    customer_stats,
    day_stats,
    free_credit,
    ledger_entry,
    open_debit,
)
from server.storage.statements import of_merchant


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of totals and what its rows have to be, of the merchant of the parameter."""

    table: Table
    key: tuple[str, ...]
    """The columns of its primary key but the merchant."""
    rows: Select[Any]
    """The key and all other columns but the merchant and, in customer_stats, the revision."""


def _sum(amount: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(func.coalesce(func.sum(amount), 0), BigInteger)


def _left(
    side: ColumnElement[Any], kind: EntryKind, name: str, *columns: ColumnElement[Any]
) -> Select[Any]:
    """Return what is left of the entries of a kind after their allocations, where anything is."""
    used = (
        select(side.label("entry_id"), _sum(allocation.c.amount_minor).label("used"))
        .where(of_merchant(allocation))
        .group_by(side)
        .subquery()
    )
    left = ledger_entry.c.amount_minor - func.coalesce(used.c.used, 0)
    return (
        select(
            ledger_entry.c.entry_id,
            ledger_entry.c.customer_id,
            *columns,
            ledger_entry.c.entered_on,
            ledger_entry.c.revision,
            ledger_entry.c.ordinal,
            left.label(name),
        )
        .select_from(ledger_entry.outerjoin(used, used.c.entry_id == ledger_entry.c.entry_id))
        .where(
            of_merchant(ledger_entry),
            ledger_entry.c.kind == kind.value,
            ledger_entry.c.customer_id.is_not(None),
            left != 0,
        )
    )


_OPEN_DEBITS: Final = _left(
    allocation.c.debit_id,
    EntryKind.BILL,
    "open_minor",
    ledger_entry.c.bill_id,
    ledger_entry.c.due_on,
)
_FREE_CREDITS: Final = _left(allocation.c.credit_id, EntryKind.PAYMENT, "free_minor")

TOTAL_MINOR: Final = bill.c.subtotal_minor - bill.c.discount_minor + bill.c.tax_minor
"""What is to be paid of a bill."""
_OPEN: Final = _OPEN_DEBITS.cte("open")
_BILLS: Final = (
    select(
        bill.c.customer_id,
        bill.c.business_day.label("day"),
        cast(func.date_trunc("month", bill.c.business_day), Date).label("month"),
        TOTAL_MINOR.label("total_minor"),
        func.coalesce(_OPEN.c.open_minor, 0).label("open_minor"),
    )
    .select_from(bill.outerjoin(_OPEN, _OPEN.c.bill_id == bill.c.bill_id))
    .where(of_merchant(bill))
    .cte("bills")
)
_CUSTOMERS_BILLS: Final = _BILLS.c.customer_id.is_not(None)
_COUNT: Final = func.count().label("bills")
_SALES: Final = _sum(_BILLS.c.total_minor).label("sales_minor")
_OUTSTANDING: Final = _sum(_BILLS.c.open_minor).label("outstanding_minor")

_CUSTOMER_DAYS: Final = (
    select(_BILLS.c.customer_id, _BILLS.c.day, _COUNT, _SALES)
    .where(_CUSTOMERS_BILLS)
    .group_by(_BILLS.c.customer_id, _BILLS.c.day)
)
_CUSTOMER_MONTHS: Final = (
    select(
        _BILLS.c.customer_id,
        _BILLS.c.month,
        _COUNT,
        _SALES,
        _OUTSTANDING,
        func.max(_BILLS.c.day).label("last_day"),
    )
    .where(_CUSTOMERS_BILLS)
    .group_by(_BILLS.c.customer_id, _BILLS.c.month)
)


def _customer_stats() -> Select[Any]:
    free = _FREE_CREDITS.subquery()
    credit = (
        select(free.c.customer_id, _sum(free.c.free_minor).label("credit_minor"))
        .group_by(free.c.customer_id)
        .subquery()
    )
    lifetime = (
        select(
            _BILLS.c.customer_id,
            _COUNT,
            _SALES,
            _OUTSTANDING,
            func.count(_BILLS.c.day.distinct()).label("visit_days"),
            func.min(_BILLS.c.day).label("first_day"),
            func.max(_BILLS.c.day).label("last_day"),
        )
        .where(_CUSTOMERS_BILLS)
        .group_by(_BILLS.c.customer_id)
        .subquery()
    )
    return select(
        *lifetime.c, func.coalesce(credit.c.credit_minor, 0).label("credit_minor")
    ).select_from(lifetime.outerjoin(credit, credit.c.customer_id == lifetime.c.customer_id))


def _day_stats() -> Select[Any]:
    """Return the sum of what bills, payments and visits each add to the days."""
    bills = select(
        _BILLS.c.day,
        literal(1).label("bills"),
        _BILLS.c.total_minor.label("sales_minor"),
        case((_BILLS.c.customer_id.is_(None), 1), else_=0).label("walk_in_bills"),
        literal(0).label("paid_minor"),
        _BILLS.c.open_minor.label("outstanding_minor"),
        literal(0).label("active_customers"),
        literal(0).label("new_customers"),
    )
    nothing = [literal(0)] * 2
    payments = select(
        ledger_entry.c.entered_on,
        literal(0),
        *nothing,
        ledger_entry.c.amount_minor,
        literal(0),
        *nothing,
    ).where(of_merchant(ledger_entry), ledger_entry.c.kind == EntryKind.PAYMENT.value)
    days = _CUSTOMER_DAYS.subquery()
    first = func.min(days.c.day).over(partition_by=days.c.customer_id)
    visits = select(
        days.c.day,
        literal(0),
        *nothing,
        literal(0),
        literal(0),
        literal(1),
        case((days.c.day == first, 1), else_=0),
    )
    all_ = union_all(bills, payments, visits).subquery()
    day, *figures = all_.c
    return select(day, *(_sum(figure).label(figure.name) for figure in figures)).group_by(day)


def _gaps(visits: Select[Any], at: str, before: str) -> Select[Any]:
    """Return how many customers came at each time with the visit before it at each other."""
    rows = visits.subquery()
    previous = func.lag(rows.c[at]).over(partition_by=rows.c.customer_id, order_by=rows.c[at])
    pairs = select(
        rows.c[at], func.coalesce(previous, literal(NEVER, Date)).label(before)
    ).subquery()
    return select(pairs.c[at], pairs.c[before], func.count().label("customers")).group_by(
        pairs.c[at], pairs.c[before]
    )


ROLLUPS: Final = (
    Rollup(open_debit, ("entry_id",), _OPEN_DEBITS),
    Rollup(free_credit, ("entry_id",), _FREE_CREDITS),
    Rollup(customer_stats, ("customer_id",), _customer_stats()),
    Rollup(customer_month, ("customer_id", "month"), _CUSTOMER_MONTHS),
    Rollup(customer_day, ("customer_id", "day"), _CUSTOMER_DAYS),
    Rollup(day_stats, ("day",), _day_stats()),
    Rollup(activity_gap, ("day", "previous_day"), _gaps(_CUSTOMER_DAYS, "day", "previous_day")),
    Rollup(
        activity_gap_month,
        ("month", "previous_month"),
        _gaps(_CUSTOMER_MONTHS, "month", "previous_month"),
    ),
)
"""Every table of totals."""
