"""AnalyticsService."""

from datetime import date
from typing import Any
from uuid import UUID

import grpc.aio

from domain.model.analytics import Basis
from domain.use_cases.analytics import Analytics
from patron.analytics.v1 import analytics_pb2
from patron.analytics.v1 import analytics_service_pb2 as messages
from patron.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer
from server.call import Reflection, current_caller, set_reflection
from server.handlers.messages.analytics import (
    INTERVALS,
    RANKINGS,
    from_basis,
    from_bucket,
    from_ranked,
    from_summary,
    to_month,
    to_period,
    to_summary_fields,
)
from server.handlers.page_tokens import PageTokens

Context = grpc.aio.ServicerContext[Any, Any]


class AnalyticsHandler(AnalyticsServiceServicer):
    """Serves AnalyticsService."""

    def __init__(self, analytics: Analytics, pages: PageTokens) -> None:
        self._analytics = analytics
        self._pages = pages

    async def GetSummary(
        self, request: messages.GetSummaryRequest, context: Context
    ) -> messages.GetSummaryResponse:
        report = await self._analytics.summary(
            current_caller(), to_period(request.period), to_summary_fields(request)
        )
        return messages.GetSummaryResponse(
            basis=_reflect(report.basis),
            current=from_summary(report.current),
            previous=from_summary(report.previous),
        )

    async def GetTimeSeries(
        self, request: messages.GetTimeSeriesRequest, context: Context
    ) -> messages.GetTimeSeriesResponse:
        report = await self._analytics.series(
            current_caller(), to_period(request.period), INTERVALS[request.interval]
        )
        return messages.GetTimeSeriesResponse(
            basis=_reflect(report.basis), buckets=map(from_bucket, report.buckets)
        )

    async def ListTopCustomers(
        self, request: messages.ListTopCustomersRequest, context: Context
    ) -> messages.ListTopCustomersResponse:
        caller = current_caller()
        asked = self._pages.page(caller, request, tuple[date | int, UUID], default=10, maximum=500)
        report = await self._analytics.ranking(
            caller, RANKINGS[request.ranking], to_month(request.month), asked
        )
        return messages.ListTopCustomersResponse(
            basis=_reflect(report.basis),
            customers=map(from_ranked, report.page.items),
            next_page_token=self._pages.next(caller, request, report.page.next),
        )


def _reflect(basis: Basis) -> analytics_pb2.ReportBasis:
    """Return what a report stands on as a message, and say how long it may be kept."""
    set_reflection(Reflection(basis.revision, basis.valid_until))
    return from_basis(basis)
