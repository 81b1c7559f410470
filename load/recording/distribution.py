"""Percentiles and bars, by the arithmetic of ghz.

Source: `latencies` and `histogram` in `runner/reporter.go` of ghz.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from load.recording.columns import Numbers
from load.recording.histograms import percentile
from load.report.go_text import seconds
from load.report.model import Bucket, Latency

PERCENTAGES: Final = (10, 25, 50, 75, 90, 95, 99)
_BARS: Final = 10
_SECOND: Final = 1_000_000_000


def latencies(durations: Numbers, counts: Numbers) -> list[Latency]:
    """Return the percentiles of durations that were seen so often each, by nearest rank.

    The durations are sorted, in nanoseconds.
    """
    return [
        Latency(percentage=each, latency=percentile(durations, counts, each))
        for each in PERCENTAGES
    ]


def bars(durations: Numbers, counts: Numbers, *, fastest: int, slowest: int) -> list[Bucket]:
    """Return the bars of durations that were seen so often each.

    The first bar ends at the fastest, the last at the slowest one; between them are ten steps.
    """
    begin, end = seconds(fastest), seconds(slowest)
    step = (end - begin) / _BARS
    marks = [*(begin + step * index for index in range(_BARS)), end]
    where = np.searchsorted(marks, np.minimum(_in_seconds(durations), end))
    heights: Sequence[float] = np.bincount(where, weights=counts, minlength=len(marks)).tolist()
    total = int(counts.sum())
    return [
        Bucket(mark=mark, count=int(height), frequency=height / total)
        for mark, height in zip(marks, heights, strict=True)
    ]


def _in_seconds(durations: Numbers) -> NDArray[np.float64]:
    whole, rest = np.divmod(durations, _SECOND)
    return whole + rest / 1e9
