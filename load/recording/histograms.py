"""HdrHistograms that take many values at once.

The counts lie as in every HdrHistogram of three digits, from a microsecond to an hour. The library
takes them one by one, at several microseconds each: as much as making a call. Here numpy counts
them, and the library writes what comes out.

Source: the layout of https://github.com/HdrHistogram/HdrHistogram, in `AbstractHistogram`.
"""

from typing import Final, Self

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from load.recording.columns import Numbers

DIGITS: Final = 3
LONGEST: Final = 3_600_000_000
"""Microseconds; what is longer counts as that long."""
_MICROSECOND: Final = 1000
_PARTS: Final = 1000
"""Percentages have three decimals at most."""
_BITS: Final = 10
"""Two to the power of this is how many buckets each power of two has, from the second on.

The first has twice as many.
"""
_SIZE: Final = 23 << _BITS


def places(nanoseconds: Numbers, bits: int = _BITS) -> Numbers:
    """Return in which bucket each duration is counted; with fewer bits there are fewer of them."""
    micros = np.clip((nanoseconds + _MICROSECOND // 2) // _MICROSECOND, 1, LONGEST)
    # The exponent of a float is that of the next power of two; these are exact as floats.
    power: Numbers = np.frexp((micros | ((2 << bits) - 1)).astype(np.float64))[1].astype(np.int64)
    power -= bits + 1
    return (power << bits) + (micros >> power)


def highest(place: Numbers, bits: int = _BITS) -> Numbers:
    """Return the longest duration of each bucket, in nanoseconds."""
    power: Numbers = np.maximum((place >> bits) - 1, 0)
    micros: Numbers = ((place - (power << bits) + 1) << power) - 1
    return micros * _MICROSECOND


def rank(percentage: float, count: int) -> int:
    """Return how many of so many values are at most the percentile: the nearest rank, from 1."""
    # Whole numbers: as a float, 99.9 % of 1,000 is a little more than 999.
    return max(-(-round(percentage * _PARTS) * count // (100 * _PARTS)), 1)


class Histogram:
    """How often durations of each length were seen; a percentile is at most 0.1 % off."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros(_SIZE, dtype=np.int64)

    @property
    def count(self) -> int:
        """How many durations."""
        return int(self._counts.sum())

    def add(self, where: Numbers) -> None:
        """Count durations by the buckets that `places` has told."""
        self._counts += np.bincount(where, minlength=_SIZE)

    def merge(self, other: Self) -> None:
        """Count those of another histogram too."""
        self._counts += other._counts

    def recorded(self) -> tuple[Numbers, Numbers]:
        """Return the longest duration of each bucket that is not empty, and its count."""
        filled = np.flatnonzero(self._counts)
        return highest(filled), self._counts[filled]

    def percentile(self, percentage: float) -> int:
        """Return a percentile in nanoseconds, by nearest rank; 0 when nothing was counted."""
        return percentile(*self.recorded(), percentage)

    def encoded(self) -> str:
        """Return it as every HdrHistogram library reads it: V2, compressed, in base64."""
        histogram = HdrHistogram(1, LONGEST, DIGITS)
        durations, counts = self.recorded()
        for value, count in zip((durations // _MICROSECOND).tolist(), counts.tolist(), strict=True):
            histogram.record_value(value, count)
        return str(histogram.encode().decode())


def percentile(durations: Numbers, counts: Numbers, percentage: float) -> int:
    """Return a percentile of durations that were seen so often each, by nearest rank.

    The durations are sorted. It is 0 when there are none.
    """
    if not len(durations):
        return 0
    seen = np.cumsum(counts)
    return int(durations[np.searchsorted(seen, rank(percentage, int(seen[-1])))])
