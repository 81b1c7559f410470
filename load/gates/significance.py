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
from scipy.stats import mannwhitneyu

_POWER: Final = 0.8
_SIMULATED: Final = 500
_SEED: Final = 1
_SURELY: Final = 8
"""So many standard deviations more than the least that counts are always found."""
_STEPS: Final = 7

Runs = NDArray[np.float64]
"""A figure of each run; the last axis is that of the runs."""


def chance(judged: Runs, other: Runs) -> NDArray[np.float64]:
    """Return the p value of the judged runs' being larger: how often equal servers differ as much.

    It is exact. Where runs tie, as shares of errors do, it is rather too large.
    """
    test = mannwhitneyu(judged, other, alternative="greater", method="exact", axis=-1)
    p_values: NDArray[np.float64] = np.asarray(test.pvalue)
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


def noise(judged: Runs, other: Runs) -> float:
    """Return how far runs of the same server are apart: the standard deviation of logarithms."""
    return float(np.sqrt((np.log(judged).var(ddof=1) + np.log(other).var(ddof=1)) / 2))


def detectable(deviation: float, runs: int, least: float, level: float) -> float:
    """Return the difference that is found 4 times in 5, as a logarithm of the ratio.

    It is simulated, with runs whose logarithms are normal.

    Args:
        deviation: As `noise` returns it.
        runs: How many there are of each server.
        least: By how much the medians must differ to count, as a logarithm.
        level: How small the p value must be.
    """
    random = np.random.default_rng(_SEED)
    judged, other = deviation * random.standard_normal((2, _SIMULATED, runs))
    apart = np.median(judged, axis=-1) - np.median(other, axis=-1)

    def found(difference: float) -> bool:
        seen = (apart + difference > least) & (chance(judged + difference, other) <= level)
        return bool(seen.mean() >= _POWER)

    low, high = least, least + _SURELY * deviation
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high
