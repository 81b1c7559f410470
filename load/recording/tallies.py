"""What is kept of the calls of one kind, or of all."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Self

import numpy as np

from load.recording.columns import Columns, Numbers
from load.recording.errors import CUT_OFF_INDEXES
from load.recording.histograms import Histogram, places
from load.records import STATUSES
from load.report.model import Clock

PERCENTILES: Final[Mapping[str, float]] = {
    f"p{percentage:g}": percentage for percentage in (50, 75, 90, 95, 99, 99.9, 99.99)
}
"""Those that every clock tells, by name."""


class ClockTally:
    """What one clock has measured."""

    def __init__(self) -> None:
        self.histogram = Histogram()
        self._sum = 0
        self._fastest: int | None = None
        self.slowest = 0

    @property
    def fastest(self) -> int:
        """The shortest duration in nanoseconds; 0 without any."""
        return self._fastest or 0

    def add(self, durations: Numbers, where: Numbers) -> None:
        """Count durations, which are in these buckets."""
        if not len(durations):
            return
        self.histogram.add(where)
        self._sum += int(durations.sum())
        self._note(int(durations.min()), int(durations.max()))

    def merge(self, other: Self) -> None:
        """Count what another has measured too."""
        self.histogram.merge(other.histogram)
        self._sum += other._sum
        if other._fastest is not None:
            self._note(other._fastest, other.slowest)

    def _note(self, fastest: int, slowest: int) -> None:
        self._fastest = fastest if self._fastest is None else min(self._fastest, fastest)
        self.slowest = max(self.slowest, slowest)

    def clock(self) -> Clock:
        """Return it for a report."""
        count = self.histogram.count
        return Clock(
            count=count,
            average=self._sum // count if count else 0,
            fastest=self.fastest,
            slowest=self.slowest,
            percentiles={
                name: min(self.histogram.percentile(percentage), self.slowest)
                for name, percentage in PERCENTILES.items()
            },
            histogram=self.histogram.encoded(),
        )


class Tally:
    """How calls ended, and how long they took."""

    def __init__(self) -> None:
        self._statuses = np.zeros(len(STATUSES), dtype=np.int64)
        self.cut_off = 0
        """How many of those that failed the run has ended itself."""
        self.service_sum = 0
        """How long all calls took together, in nanoseconds, those that failed too."""
        self.service = ClockTally()
        self.response = ClockTally()
        self.trailers: dict[str, Counter[str]] = {}

    @property
    def count(self) -> int:
        """How many calls."""
        return int(self._statuses.sum())

    @property
    def errors(self) -> int:
        """How many of them failed."""
        return self.count - int(self._statuses[0])

    @property
    def statuses(self) -> dict[str, int]:
        """How many ended with each status, by its name."""
        return {
            name: count
            for name, count in sorted(zip(STATUSES, self._statuses.tolist(), strict=True))
            if count
        }

    def add(self, calls: Columns, timed: Columns) -> None:
        """Count calls, and measure those of them that are timed."""
        self._statuses += np.bincount(calls.status, minlength=len(STATUSES))
        self.cut_off += int(((calls.error >= 0) & (calls.error < CUT_OFF_INDEXES)).sum())
        self.service_sum += int(calls.service.sum())
        self.service.add(timed.service, places(timed.service))
        self.response.add(timed.response, places(timed.response))

    def merge(self, other: Self) -> None:
        """Count those of another too, but for its trailers."""
        self._statuses += other._statuses
        self.cut_off += other.cut_off
        self.service_sum += other.service_sum
        self.service.merge(other.service)
        self.response.merge(other.response)
