"""Reports as messages."""

from datetime import date
from typing import Final

from domain.errors import invalid_field
from domain.model.analytics import (
    Basis,
    Figures,
    Interval,
    Period,
    RankedCustomer,
    Ranking,
    Summary,
    summary_fields,
)
from patron.analytics.v1 import analytics_pb2
from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest
from server.handlers.messages.times import from_day, from_instant, to_existing_day

INTERVALS: Final = {
    analytics_pb2.Interval.Value(f"INTERVAL_{interval.name}"): interval for interval in Interval
}
"""The intervals, by their numbers in the contract."""
RANKINGS: Final = {
    analytics_pb2.CustomerRanking.Value(f"CUSTOMER_RANKING_{ranking.name}"): ranking
    for ranking in Ranking
}
"""The rankings, by their numbers in the contract."""


def to_period(message: analytics_pb2.Period) -> Period:
    """Return a period; raises InvalidRequestError for days that are none or in the wrong order."""
    return Period(
        to_existing_day(message.from_day, "period.from_day"),
        to_existing_day(message.to_day, "period.to_day"),
    )


def to_month(text: str) -> date | None:
    """Return the first day of a month; None when it is empty.

    Raises:
        InvalidRequestError: The calendar has no such month.
    """
    try:
        return date.fromisoformat(f"{text}-01") if text else None
    except ValueError:
        raise invalid_field("month", "must be a month of the calendar, as YYYY-MM") from None


def to_summary_fields(request: GetSummaryRequest) -> frozenset[str]:
    """Return the fields that a request wants; raises InvalidRequestError for a wrong mask."""
    return summary_fields(tuple(request.read_mask.paths) or None)


def from_basis(basis: Basis) -> analytics_pb2.ReportBasis:
    """Return what a report stands on as a message."""
    return analytics_pb2.ReportBasis(
        as_of=from_day(basis.as_of),
        computed_at=from_instant(basis.computed_at),
        currency=basis.currency,
        time_zone=basis.time_zone,
        revision=str(basis.revision),
    )


def from_summary(summary: Summary) -> analytics_pb2.Summary:
    """Return a summary as a message."""
    return analytics_pb2.Summary(
        period=_from_period(summary.period),
        sales_minor=summary.sales_minor,
        bills=summary.bills,
        average_bill_minor=summary.average_bill_minor,
        paid_minor=summary.paid_minor,
        outstanding_minor=summary.outstanding_minor,
        active_customers=summary.active_customers,
        new_customers=summary.new_customers,
        returning_customers=summary.returning_customers,
        walk_in_bills=summary.walk_in_bills,
        repeat_rate=summary.repeat_rate,
    )


def from_bucket(figures: Figures) -> analytics_pb2.TimeBucket:
    """Return one bucket of a time series as a message."""
    return analytics_pb2.TimeBucket(
        period=_from_period(figures.period),
        sales_minor=figures.sales_minor,
        bills=figures.bills,
        paid_minor=figures.paid_minor,
        outstanding_minor=figures.outstanding_minor,
        active_customers=figures.active_customers or 0,
        new_customers=figures.new_customers,
    )


def from_ranked(customer: RankedCustomer) -> analytics_pb2.RankedCustomer:
    """Return one customer of a ranking as a message."""
    return analytics_pb2.RankedCustomer(
        customer_id=str(customer.customer_id),
        external_id=customer.external_id,
        name=customer.name,
        sales_minor=customer.sales_minor,
        bills=customer.bills,
        outstanding_minor=customer.outstanding_minor,
        last_bill_day=from_day(customer.last_bill_day),
    )


def _from_period(period: Period) -> analytics_pb2.Period:
    return analytics_pb2.Period(from_day=from_day(period.from_day), to_day=from_day(period.to_day))
