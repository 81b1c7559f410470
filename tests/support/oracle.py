"""A merchant's books, kept as simply as can be: what the service has to agree with.

Written from the contract alone. Nothing is kept but the bills and the payments: whatever is asked
is counted anew from all of them.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from patron.bill.v1.bill_pb2 import BillDraft, BillLine, BillStatus

NEVER = "-infinity"
"""How the tables say that there was no visit before."""
INTERVALS = ("DAY", "WEEK", "MONTH")
RANKINGS = ("SALES", "BILLS", "OUTSTANDING", "RECENCY")
_RANKED_BY = {
    "SALES": "sales_minor",
    "BILLS": "bills",
    "OUTSTANDING": "outstanding_minor",
    "RECENCY": "last_bill_day",
}


@dataclass
class Receipt:
    """A payment, and what is left of it."""

    customer: str | None
    day: date
    amount_minor: int
    left_minor: int


@dataclass
class Sale:
    """A bill, and what is open of it."""

    number: int
    id: str
    customer: str | None
    day: date
    due_day: date | None
    total_minor: int
    open_minor: int
    receipts: list[Receipt] = field(default_factory=list)

    @property
    def status(self) -> int:
        if self.open_minor == 0:
            return BillStatus.BILL_STATUS_PAID
        if self.open_minor < self.total_minor:
            return BillStatus.BILL_STATUS_PARTIALLY_PAID
        return BillStatus.BILL_STATUS_OPEN


def rounded(amount: Decimal) -> int:
    """Round half up."""
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def total_of(lines: Iterable[BillLine]) -> int:
    """Return what the lines sum up to."""
    return sum(
        rounded(Decimal(line.quantity_milli) / 1000 * line.unit_price_minor)
        - line.discount_minor
        + line.tax_minor
        for line in lines
    )


def parts(first: date, last: date, interval: str) -> list[tuple[date, date]]:
    """Cut a period into its days, weeks or months."""
    days = [first + timedelta(days=at) for at in range((last - first).days + 1)]
    bucket = {
        "DAY": lambda day: day,
        "WEEK": lambda day: day.isocalendar()[:2],
        "MONTH": lambda day: (day.year, day.month),
    }[interval]
    cut = [list(each) for _, each in groupby(days, key=bucket)]
    return [(each[0], each[-1]) for each in cut]


class Books:
    """The bills and payments of one merchant, whose customers have any names."""

    def __init__(self, time_zone: str) -> None:
        self._zone = ZoneInfo(time_zone)
        self.sales: list[Sale] = []
        self.receipts: list[Receipt] = []

    def day_of(self, instant: datetime) -> date:
        """Return the date that a calendar in the shop shows."""
        return instant.astimezone(self._zone).date()

    def enter(self, draft: BillDraft, customer: str | None, now: datetime) -> Sale:
        """Enter a new bill with the payments that it carries."""
        instant = draft.bill_time.ToDatetime(UTC) if draft.HasField("bill_time") else now
        total = total_of(draft.lines)
        sale = Sale(
            number=len(self.sales) + 1,
            id=draft.id,
            customer=customer,
            day=self.day_of(instant),
            due_day=date.fromisoformat(draft.due_day) if draft.due_day else None,
            total_minor=total,
            open_minor=total,
        )
        self.sales.append(sale)
        for payment in draft.payments:
            paid = payment.pay_time.ToDatetime(UTC) if payment.HasField("pay_time") else instant
            receipt = Receipt(
                customer, self.day_of(paid), payment.amount_minor, payment.amount_minor
            )
            self.receipts.append(receipt)
            sale.receipts.append(receipt)
        for receipt in sorted(sale.receipts, key=lambda receipt: receipt.day):
            self._pay(receipt, sale)
            if customer is not None:
                for other in self._open_sales(customer):
                    self._pay(receipt, other)
        if customer is not None:
            for credit in self._credits(customer):
                self._pay(credit, sale)
        return sale

    def _pay(self, receipt: Receipt, sale: Sale) -> None:
        amount = min(receipt.left_minor, sale.open_minor)
        receipt.left_minor -= amount
        sale.open_minor -= amount

    def _open_sales(self, customer: str) -> list[Sale]:
        """Return what a customer owes, the oldest first."""
        found = [sale for sale in self.sales if sale.customer == customer and sale.open_minor]
        return sorted(found, key=lambda sale: sale.due_day or sale.day)

    def _credits(self, customer: str) -> list[Receipt]:
        """Return what a customer has too much paid, the oldest first."""
        found = [each for each in self.receipts if each.customer == customer and each.left_minor]
        return sorted(found, key=lambda receipt: receipt.day)

    # What is asked.

    def customers(self) -> set[str]:
        return {sale.customer for sale in self.sales if sale.customer is not None}

    def balances(self) -> dict[str, tuple[int, int]]:
        """Return the outstanding and the credit of every customer with a bill."""
        return {
            customer: (
                sum(sale.open_minor for sale in self.sales if sale.customer == customer),
                sum(each.left_minor for each in self.receipts if each.customer == customer),
            )
            for customer in self.customers()
        }

    def summary(self, first: date, last: date) -> dict[str, Any]:
        """Return the fields of a Summary but its period."""
        inside = [sale for sale in self.sales if first <= sale.day <= last]
        active = {sale.customer for sale in inside if sale.customer is not None}
        new = {
            customer
            for customer in active
            if min(sale.day for sale in self.sales if sale.customer == customer) >= first
        }
        sales = sum(sale.total_minor for sale in inside)
        return {
            "sales_minor": sales,
            "bills": len(inside),
            "average_bill_minor": rounded(Decimal(sales) / len(inside)) if inside else 0,
            "paid_minor": sum(
                each.amount_minor for each in self.receipts if first <= each.day <= last
            ),
            "outstanding_minor": sum(sale.open_minor for sale in inside),
            "active_customers": len(active),
            "new_customers": len(new),
            "returning_customers": len(active - new),
            "walk_in_bills": sum(sale.customer is None for sale in inside),
            "repeat_rate": len(active - new) / len(active) if active else 0.0,
        }

    def series(self, first: date, last: date, interval: str) -> list[dict[str, Any]]:
        """Return the buckets of a time series, each period as two days."""
        wanted = (
            "sales_minor",
            "bills",
            "paid_minor",
            "outstanding_minor",
            "active_customers",
            "new_customers",
        )
        buckets = []
        for from_day, to_day in parts(first, last, interval):
            figures = self.summary(from_day, to_day)
            buckets.append(
                {"period": (str(from_day), str(to_day)), **{name: figures[name] for name in wanted}}
            )
        return buckets

    def top(
        self, ranking: str, ids: dict[str, str], month: tuple[int, int] | None = None
    ) -> list[dict[str, Any]]:
        """Return the ranked customers, each by the id that the names are mapped to."""
        ranked: list[dict[str, Any]] = []
        for customer in self.customers():
            sales = [
                sale
                for sale in self.sales
                if sale.customer == customer and month in (None, (sale.day.year, sale.day.month))
            ]
            if sales:
                ranked.append(
                    {
                        "customer_id": ids[customer],
                        "sales_minor": sum(sale.total_minor for sale in sales),
                        "bills": len(sales),
                        "outstanding_minor": sum(sale.open_minor for sale in sales),
                        "last_bill_day": str(max(sale.day for sale in sales)),
                    }
                )
        ranked.sort(key=lambda each: each["customer_id"])
        ranked.sort(key=lambda each: each[_RANKED_BY[ranking]], reverse=True)
        return ranked

    # What is kept.

    def rollups(self, ids: dict[str, str]) -> dict[str, set[tuple[Any, ...]]]:
        """Return the rows of the kept totals: keys, then figures, without rows of zeros."""
        of_customers = [(ids[sale.customer], sale) for sale in self.sales if sale.customer]
        visits: dict[str, list[date]] = {}
        for customer, sale in of_customers:
            visits.setdefault(customer, []).append(sale.day)
        days = {customer: sorted(set(each)) for customer, each in visits.items()}
        months = {
            customer: sorted({day.replace(day=1) for day in each})
            for customer, each in days.items()
        }
        balances = {ids[customer]: balance for customer, balance in self.balances().items()}
        return {
            "customer_stats": {
                (
                    customer,
                    len(visits[customer]),
                    sum(sale.total_minor for who, sale in of_customers if who == customer),
                    *balances[customer],
                    len(each),
                    str(each[0]),
                    str(each[-1]),
                )
                for customer, each in days.items()
            },
            "customer_month": {
                (str(month), customer, *_figures(customer, month, of_customers, monthly=True))
                for customer, each in months.items()
                for month in each
            },
            "customer_day": {
                (customer, str(day), *_figures(customer, day, of_customers, monthly=False))
                for customer, each in days.items()
                for day in each
            },
            "day_stats": {
                (str(day), *(figures[name] for name in _OF_DAY))
                for day in self._days()
                for figures in [self.summary(day, day)]
            },
            "activity_gap": _gaps(days.values()),
            "activity_gap_month": _gaps(months.values()),
            "open_debit": {
                (sale.id, customer, sale.open_minor)
                for customer, sale in of_customers
                if sale.open_minor
            },
            "free_credit": set(
                Counter(
                    (ids[each.customer], str(each.day), each.left_minor)
                    for each in self.receipts
                    if each.customer and each.left_minor
                ).items()
            ),
        }

    def _days(self) -> set[date]:
        return {sale.day for sale in self.sales} | {receipt.day for receipt in self.receipts}


_OF_DAY = (
    "bills",
    "sales_minor",
    "walk_in_bills",
    "paid_minor",
    "outstanding_minor",
    "active_customers",
    "new_customers",
)


def _figures(
    customer: str, at: date, of_customers: list[tuple[str, Sale]], *, monthly: bool
) -> tuple[Any, ...]:
    sales = [
        sale
        for who, sale in of_customers
        if who == customer and at == (sale.day.replace(day=1) if monthly else sale.day)
    ]
    figures = len(sales), sum(sale.total_minor for sale in sales)
    if not monthly:
        return figures
    last_day = max(sale.day for sale in sales)
    return (*figures, sum(sale.open_minor for sale in sales), str(last_day))


def _gaps(of_customers: Iterable[list[date]]) -> set[tuple[Any, ...]]:
    """Count the customers by a visit and the one before it."""
    pairs = [
        pair for visits in of_customers for pair in zip(visits, [NEVER, *visits], strict=False)
    ]
    return {(str(at), str(before), customers) for (at, before), customers in Counter(pairs).items()}
