"""Reporting on bills."""

from datetime import date

from domain.model.analytics import (
    Basis,
    Interval,
    Period,
    Ranking,
    RankingReport,
    SeriesReport,
    SummaryReport,
    needs_active,
    summarize,
)
from domain.model.caller import Caller
from domain.model.merchant import Merchant
from domain.model.paging import PageRequest
from domain.ports import Clock, RollupReader


class Analytics:
    """Reports on the bills of the caller's merchant."""

    def __init__(self, rollups: RollupReader, clock: Clock) -> None:
        self._rollups = rollups
        self._clock = clock

    async def summary(
        self, caller: Caller, period: Period, wanted: frozenset[str]
    ) -> SummaryReport:
        """Return the wanted fields of a period and of the one before it."""
        merchant, (current, previous) = await self._rollups.figures(
            caller, [period, period.previous], active=needs_active(wanted)
        )
        return SummaryReport(
            self._basis(merchant), summarize(current, wanted), summarize(previous, wanted)
        )

    async def series(self, caller: Caller, period: Period, interval: Interval) -> SeriesReport:
        """Return the figures of a period bucket by bucket, empty ones included."""
        merchant, figures = await self._rollups.figures(
            caller, period.buckets(interval), active=True
        )
        return SeriesReport(self._basis(merchant), tuple(figures))

    async def ranking(
        self, caller: Caller, by: Ranking, month: date | None, page: PageRequest
    ) -> RankingReport:
        """Return customers with a bill in a month, or ever, the top one first."""
        merchant, found = await self._rollups.ranking(caller, by, month, page)
        return RankingReport(self._basis(merchant), found)

    def _basis(self, merchant: Merchant) -> Basis:
        now = self._clock()
        return Basis(
            as_of=merchant.business_day(now),
            computed_at=now,
            currency=merchant.currency,
            time_zone=merchant.time_zone,
            revision=merchant.revision,
        )
