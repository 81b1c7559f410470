"""How many calls took how long, from whatever a report has about it."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from load.errors import ReportError
from load.report.model import Bucket, Clock, Detail, Report

_Integers: TypeAlias = NDArray[np.int64]
_NS_PER_US: Final = 1_000
_NS_PER_S: Final = 1_000_000_000
_DAMAGES: Final = (
    HdrCookieException,
    HdrHistogramSettingsException,
    HdrLengthException,
    IndexError,
    OverflowError,
    ValueError,
    zlib.error,
)
"""What reading an HdrHistogram may end with."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Times in nanoseconds, rising, and how many calls took at most so long."""

    values: _Integers
    reached: _Integers

    @property
    def count(self) -> int:
        """How many calls there were."""
        return int(self.reached[-1]) if self.reached.size else 0

    def at_most(self, nanoseconds: float) -> int:
        """Return how many calls took at most so long."""
        index = int(np.searchsorted(self.values, nanoseconds, side="right"))
        return int(self.reached[index - 1]) if index else 0

    def at(self, share: float) -> int:
        """Return the time that this share of the calls, above 0, took at most: the nearest rank."""
        rank = max(1, int(np.ceil(round(share * self.count, 6))))
        return int(self.values[int(np.searchsorted(self.reached, rank))])


def of_clock(clock: Clock) -> Latencies:
    """Return what an HdrHistogram holds, each value at the upper end of its bucket.

    Raises:
        ReportError: It cannot be read.
    """
    try:
        histogram = HdrHistogram.decode(clock.histogram)
    except _DAMAGES as error:
        raise ReportError(f"a histogram of the report is damaged: {error}") from None
    # Its own iterators visit each of the thousands of buckets in Python.
    counts = np.ctypeslib.as_array(histogram.counts)
    (used,) = np.nonzero(counts)
    values = np.array(
        [
            histogram.get_highest_equivalent_value(histogram.get_value_from_index(int(index)))
            for index in used
        ],
        np.int64,
    )
    # The last bucket may reach beyond the slowest call.
    values = np.minimum(values * _NS_PER_US, max(clock.slowest, _NS_PER_US))
    return Latencies(values, np.cumsum(counts[used]).astype(np.int64))


def of_report(report: Report) -> Latencies | None:
    """Return the service times that a report has beside HdrHistograms.

    That is of its calls one by one, those that its percentiles are of, or else of the bars of its
    histogram, each value at the upper end of its bar. None: it has neither.
    """
    if report.details:
        return _of_details(report.details, counted(report))
    if report.histogram:
        return _of_bars(report.histogram)
    return None


def counted(report: Report) -> Callable[[Detail], bool]:
    """Return what tells whether the percentiles of a report, as ghz makes them, are of a call."""
    if report.options.get("count-errors"):
        return lambda _: True
    return lambda detail: not detail.error


def _of_details(details: Sequence[Detail], counts: Callable[[Detail], bool]) -> Latencies:
    times = np.sort(np.array([call.latency for call in details if counts(call)], np.int64))
    return Latencies(times, np.arange(1, times.size + 1, dtype=np.int64))


def _of_bars(bars: Sequence[Bucket]) -> Latencies:
    marks = np.array([bar.mark for bar in bars], np.float64) * _NS_PER_S
    counts = np.array([bar.count for bar in bars], np.int64)
    return Latencies(np.rint(marks).astype(np.int64), np.cumsum(counts))
