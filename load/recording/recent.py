"""How it goes right now."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from load.recording.columns import Columns
from load.recording.histograms import rank

_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    done: int
    """Calls that have ended, those that are skipped too."""
    total: int | None
    """How many calls there will be; None: as many as there are in `duration`."""
    seconds: float
    """How long it has been going on, since the first call."""
    duration: float | None
    """For how long calls are begun, in seconds; None: until there are `total`."""
    rate: float
    """Calls that ended in the last second."""
    errors: int
    """Calls that have failed."""
    p95: int
    """Of the calls that ended well in the last second, in nanoseconds; 0: there were none."""


class Recent:
    """The calls of the last second or two."""

    def __init__(self) -> None:
        self._parts: deque[Columns] = deque()
        self._newest = 0

    def add(self, calls: Columns) -> None:
        """Take calls that ended just now."""
        self._parts.append(calls)
        self._newest = max(self._newest, int(calls.ended.max()))
        while int(self._parts[0].ended.max()) < self._newest - 2 * _SECOND:
            self._parts.popleft()

    def rate_and_p95(self, now: int) -> tuple[int, int]:
        """Return how many calls ended in a second, and the percentile of those that ended well."""
        if not self._parts:
            return 0, 0
        # What ended is told of a little later; but when nothing is told, nothing ends.
        until = max(self._newest, now - _SECOND)
        calls = Columns.together(self._parts)
        last = calls.chosen((calls.ended > until - _SECOND) & (calls.ended <= until))
        durations = np.sort(last.service[last.error < 0])
        p95 = int(durations[rank(95, len(durations)) - 1]) if len(durations) else 0
        return len(last), p95
