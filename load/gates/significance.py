"""Whether runs of one server are worse than those of another, and what could have been seen.

Runs are compared, and not calls, which aren't independent of each other.

Sources: Mann and Whitney, "On a test of whether one of two random variables is stochastically
larger than the other", Annals of Mathematical Statistics 18 (1947); Holm, "A simple sequentially
rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_POWER: Final = 0.8
_SIMULATED: Final = 500
_SEED: Final = 1
_SURELY: Final = 8
"""So many standard deviations more than the least that counts are always found."""
_STEPS: Final = 7

Numbers = NDArray[np.float64]
Runs = Numbers
"""A figure of each run; the last axis is that of the runs."""


def chance(judged: Runs, other: Runs) -> Numbers:
    """Return the p value of the judged runs' being larger: how often equal servers differ as much.

    It is exact. Where runs tie, as shares of errors do, it is rather too large.
    """
    # Only now: it takes a second to import, which a run without comparisons need not wait for.
    from scipy.stats import mannwhitneyu  # noqa: PLC0415

    test = mannwhitneyu(judged, other, alternative="greater", method="exact", axis=-1)
    p_values: Numbers = np.asarray(test.pvalue)
    return p_values


def holm(p_values: Sequence[float]) -> Sequence[float]:
    """Return p values, so much larger that one among all is small by chance no more often than one.

    The smallest is taken times their number, the next one times one less, and so on; none gets
    smaller than the one before it.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def noise(judged: Runs, other: Runs) -> Numbers:
    """Return how far runs of the same server are apart: the standard deviation of logarithms."""
    variances = [np.log(runs).var(axis=-1, ddof=1) for runs in (judged, other)]
    deviations: Numbers = np.sqrt(np.mean(variances, axis=0))
    return deviations


def detectable(deviation: Numbers, least: Numbers, *, runs: int, level: float) -> Numbers:
    """Return, of each figure, the difference that is found 4 times in 5.

    It is the logarithm of the ratio, simulated with runs whose logarithms are normal.

    Args:
        deviation: Of each figure, as `noise` returns it.
        least: By how much its medians must differ to count, as a logarithm.
        runs: How many there are of each server.
        level: How small the p value must be.
    """
    random = np.random.default_rng(_SEED)
    judged, other = deviation[:, None, None] * random.standard_normal((2, 1, _SIMULATED, runs))
    apart = np.median(judged, axis=-1) - np.median(other, axis=-1)
    low, high = least, least + _SURELY * deviation
    for _ in range(_STEPS):
        middle = (low + high) / 2
        counts = apart + middle[:, None] > least[:, None]
        found = counts & (chance(judged + middle[:, None, None], other) <= level)
        enough = found.mean(axis=-1) >= _POWER
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high
