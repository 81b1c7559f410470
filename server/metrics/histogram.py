"""How often values of which size were observed."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.utils import floatToGoString

WAITS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds, in seconds, for what should take no time and must not take long."""


class Histogram:
    """Counts of observed values by bucket, without a lock.

    One thread alone may observe; any may read.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Count nothing yet.

        Args:
            bounds: The upper bounds of the buckets, each part of its own bucket, ascending; above
                the last is one bucket more.
        """
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """How many values were in each bucket, not cumulative."""
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> None:
        """Show the counts in a family of metrics, as the series of these labels."""
        bounds = map(floatToGoString, (*self.bounds, math.inf))
        # The copy is made in one step, so that all buckets are of one moment.
        cumulative = accumulate(self.counts[:])
        family.add_metric(labels, list(zip(bounds, cumulative, strict=True)), self.sum)
