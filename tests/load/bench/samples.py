"""Arithmetic on samples."""

from collections.abc import Sequence
from statistics import median


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return a percentile by nearest rank: a sample that at least so many are not above.

    Args:
        samples: At least one, in any order.
        percent: Over 0, at most 100.
    """
    ranked = sorted(samples)
    # Rounded up, in whole thousandths of a percent: 99.9 isn't exact in binary.
    rank = -(-len(ranked) * round(percent * 1000) // 100_000)
    return ranked[rank - 1]


def median_ratio(figures: Sequence[float], floors: Sequence[float]) -> float:
    """Return the median of the ratios of each round.

    A round's figure and floor are taken one after the other, so what slows the machine for a while
    slows both.
    """
    return median(figure / floor for figure, floor in zip(figures, floors, strict=True))
