"""What the service says of the imported purchases."""

import asyncio
from dataclasses import dataclass
from typing import Any

import iso4217
from rich.console import Console
from rich.table import Table

from patron.analytics.v1.analytics_pb2 import (
    CUSTOMER_RANKING_SALES,
    INTERVAL_MONTH,
    Period,
    RankedCustomer,
    ReportBasis,
    Summary,
    TimeBucket,
)
from patron.analytics.v1.analytics_service_pb2 import (
    GetSummaryRequest,
    GetTimeSeriesRequest,
    ListTopCustomersRequest,
)
from patron.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from server.cli.demo.purchases import FIRST_DAY, LAST_DAY

_TOP = 5
_SECONDS = 60
_MONTH_DIGITS = 7

_PERIOD = Period(from_day=FIRST_DAY.isoformat(), to_day=LAST_DAY.isoformat())


@dataclass(frozen=True, slots=True)
class Report:
    """The service's answers."""

    currency: str
    summary: Summary
    months: list[TimeBucket]
    top: list[RankedCustomer]

    def figures(self) -> dict[str, Any]:
        """Return the figures for programs."""
        return {
            # Everybody's first purchase is in the period.
            "customers": self.summary.new_customers,
            "bills": self.summary.bills,
            "sales_minor": self.summary.sales_minor,
            "currency": self.currency,
            "months": [
                {
                    "month": _month(bucket),
                    "bills": bucket.bills,
                    "sales_minor": bucket.sales_minor,
                    "active_customers": bucket.active_customers,
                }
                for bucket in self.months
            ],
            "top": [
                {"external_id": customer.external_id, "sales_minor": customer.sales_minor}
                for customer in self.top
            ],
        }

    def print_tables(self, console: Console) -> None:
        """Print the figures for people."""
        console.print(self._summary_table())
        console.print(self._months_table())
        console.print(self._top_table())

    def _summary_table(self) -> Table:
        summary = self.summary
        table = Table(
            title=f"{summary.period.from_day} to {summary.period.to_day}",
            title_justify="left",
            show_header=False,
        )
        table.add_column()
        table.add_column(justify="right")
        for name, figure in (
            ("Sales", f"{self._money(summary.sales_minor)} {self.currency}"),
            ("Bills", f"{summary.bills:,}"),
            ("Average bill", f"{self._money(summary.average_bill_minor)} {self.currency}"),
            ("Paid", f"{self._money(summary.paid_minor)} {self.currency}"),
            ("Outstanding", f"{self._money(summary.outstanding_minor)} {self.currency}"),
            ("Active customers", f"{summary.active_customers:,}"),
            ("New customers", f"{summary.new_customers:,}"),
        ):
            table.add_row(name, figure)
        return table

    def _months_table(self) -> Table:
        table = _table(
            "Month by month", "Month", "Bills", f"Sales {self.currency}", "Active", "New"
        )
        for bucket in self.months:
            table.add_row(
                _month(bucket),
                f"{bucket.bills:,}",
                self._money(bucket.sales_minor),
                f"{bucket.active_customers:,}",
                f"{bucket.new_customers:,}",
            )
        return table

    def _top_table(self) -> Table:
        table = _table("Top customers", "Customer", "Bills", f"Sales {self.currency}", "Last bill")
        for customer in self.top:
            table.add_row(
                customer.external_id or customer.customer_id,
                f"{customer.bills:,}",
                self._money(customer.sales_minor),
                customer.last_bill_day,
            )
        return table

    def _money(self, minor: int) -> str:
        digits = iso4217.Currency(self.currency).exponent or 0
        units, rest = divmod(minor, 10**digits)
        return f"{units:,}.{rest:0{digits}}" if digits else f"{units:,}"


async def fetch_basis(
    analytics: AnalyticsServiceStub, metadata: list[tuple[str, str]]
) -> ReportBasis:
    """Return what is reported on: the merchant's currency and time zone. Raises grpc.RpcError."""
    answer = await analytics.GetSummary(
        GetSummaryRequest(period=_PERIOD), metadata=metadata, timeout=_SECONDS
    )
    return answer.basis


async def fetch_report(analytics: AnalyticsServiceStub, metadata: list[tuple[str, str]]) -> Report:
    """Return the report on the period of the purchases. Raises grpc.RpcError."""
    summary, series, top = await asyncio.gather(
        analytics.GetSummary(
            GetSummaryRequest(period=_PERIOD), metadata=metadata, timeout=_SECONDS
        ),
        analytics.GetTimeSeries(
            GetTimeSeriesRequest(period=_PERIOD, interval=INTERVAL_MONTH),
            metadata=metadata,
            timeout=_SECONDS,
        ),
        analytics.ListTopCustomers(
            ListTopCustomersRequest(ranking=CUSTOMER_RANKING_SALES, page_size=_TOP),
            metadata=metadata,
            timeout=_SECONDS,
        ),
    )
    return Report(
        currency=summary.basis.currency,
        summary=summary.current,
        months=list(series.buckets),
        top=list(top.customers),
    )


def _month(bucket: TimeBucket) -> str:
    return bucket.period.from_day[:_MONTH_DIGITS]


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for other in others:
        table.add_column(other, justify="right")
    return table
