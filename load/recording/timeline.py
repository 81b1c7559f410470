"""How a run went over time, in a memory that does not grow."""

from dataclasses import dataclass, field, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from load.recording.columns import Columns, Numbers
from load.recording.histograms import highest, percentile, places
from load.report.model import Second

MOST_PARTS: Final = 600
_SECOND: Final = 1_000_000_000
_BITS: Final = 7
"""Of the buckets: a percentile is at most 0.8 % off. Finer ones would take 15 MB in ten minutes."""
_PERCENTILES: Final = {"p50": 50, "p95": 95, "p99": 99}


@dataclass(slots=True)
class _Few:
    """An HdrHistogram of few values: only the buckets that are not empty."""

    where: NDArray[np.uint16] = field(default_factory=lambda: np.empty(0, dtype=np.uint16))
    counts: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, dtype=np.uint32))
    slowest: int = 0

    def add(self, durations: Numbers) -> None:
        if len(durations):
            where = places(durations, _BITS)
            self._merge(where, np.ones_like(where), int(durations.max()))

    def merge(self, other: Self) -> None:
        self._merge(other.where, other.counts, other.slowest)

    def _merge(
        self,
        where: Numbers | NDArray[np.uint16],
        counts: Numbers | NDArray[np.uint32],
        slowest: int,
    ) -> None:
        together, index = np.unique(np.concatenate([self.where, where]), return_inverse=True)
        sums = np.bincount(index, weights=np.concatenate([self.counts, counts]))
        self.where = together.astype(np.uint16)
        self.counts = sums.astype(np.uint32)
        self.slowest = max(self.slowest, slowest)

    def percentiles(self) -> dict[str, int]:
        if not len(self.where):
            return {}
        durations = highest(self.where.astype(np.int64), _BITS)
        counts = self.counts.astype(np.int64)
        told = {
            name: min(percentile(durations, counts, percentage), self.slowest)
            for name, percentage in _PERCENTILES.items()
        }
        return told | {"max": self.slowest}


@dataclass(slots=True)
class _Part:
    count: int = 0
    errors: int = 0
    service: _Few = field(default_factory=_Few)
    _response: _Few | None = None
    """None: the same, as it is of all calls that were begun when they were meant to."""

    @property
    def response(self) -> _Few:
        return self._response or self.service

    def measure(self, service: Numbers, response: Numbers) -> None:
        if not np.array_equal(service, response):
            self._split()
        if self._response:
            self._response.add(response)
        self.service.add(service)

    def merge(self, other: Self) -> None:
        self.count += other.count
        self.errors += other.errors
        if other._response:
            self._split()
        if self._response:
            self._response.merge(other.response)
        self.service.merge(other.service)

    def _split(self) -> None:
        """Let the clocks tell different times from now on."""
        self._response = self._response or replace(self.service)


class Timeline:
    """What happened in each part of a run.

    A part is a second. When there are more than 600 of them, each two become one, with the
    percentiles that all of their calls have together.
    """

    def __init__(self, began: int) -> None:
        self._began = began
        self._length = 1
        self._parts: dict[int, _Part] = {}

    def add(self, calls: Columns, timed: Columns) -> None:
        """Count calls, and measure those of them that are timed."""
        self._make_room(int(calls.ended.max()))
        at, timed_at = self._index(calls.ended), self._index(timed.ended)
        for index in np.unique(at).tolist():
            part = self._parts.setdefault(index, _Part())
            here = at == index
            part.count += int(here.sum())
            part.errors += int((calls.status[here] != 0).sum())
            measured = timed_at == index
            part.measure(timed.service[measured], timed.response[measured])

    def _index(self, ended: Numbers) -> Numbers:
        # The clock of a machine can be set back.
        return np.maximum(ended - self._began, 0) // (self._length * _SECOND)

    def _make_room(self, latest: int) -> None:
        while (latest - self._began) // (self._length * _SECOND) >= MOST_PARTS:
            self._length *= 2
            halves, self._parts = self._parts, {}
            for index, part in sorted(halves.items()):
                if (whole := self._parts.setdefault(index // 2, part)) is not part:
                    whole.merge(part)

    def seconds(self) -> list[Second]:
        """Return the parts, those in which nothing ended too; they have no percentiles."""
        nothing = _Part()
        parts = (
            self._parts.get(index, nothing) for index in range(max(self._parts, default=-1) + 1)
        )
        return [
            Second(
                at=float(index * self._length),
                count=part.count,
                errors=part.errors,
                service=part.service.percentiles(),
                response=part.response.percentiles(),
            )
            for index, part in enumerate(parts)
        ]
