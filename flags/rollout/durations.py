"""What the buckets of a histogram tell about durations, in seconds."""

from flags.rollout.evidence import Calls
from flags.rollout.sequential import proves_above, proves_below


def over(calls: Calls, bound: float) -> int:
    """Return how many calls took longer than a bound of the histogram."""
    # Prometheus extrapolates each bucket by itself: they may differ by a call.
    return max(0, calls.timed - calls.within[bound])


def bound_from(calls: Calls, seconds: float) -> float | None:
    """Return the lowest bound that is no shorter; None: there is none."""
    if seconds in calls.within:
        return seconds
    return min((bound for bound in calls.within if bound >= seconds), default=None)


def bound_up_to(calls: Calls, seconds: float) -> float | None:
    """Return the highest bound that is no longer; None: there is none."""
    if seconds in calls.within:
        return seconds
    return max((bound for bound in calls.within if bound <= seconds), default=None)


def at_most(calls: Calls, quantile: float, confidence: float) -> float | None:
    """Return the lowest bound that a quantile is proven to keep; None: not even the highest."""
    for bound in sorted(calls.within):
        if proves_below(over(calls, bound), calls.timed, 1 - quantile, confidence):
            return bound
    return None


def at_least(calls: Calls, quantile: float, confidence: float) -> float:
    """Return the highest bound that a quantile is proven to exceed; 0: not even the lowest."""
    for bound in sorted(calls.within, reverse=True):
        if proves_above(over(calls, bound), calls.timed, 1 - quantile, confidence):
            return bound
    return 0.0


def estimate(calls: Calls, quantile: float) -> float | None:
    """Return a quantile as Prometheus estimates it; None: nothing was timed.

    The calls of a bucket are taken to be spread evenly; above the highest bound, to be at it.
    """
    if not calls.timed:
        return None
    rank, lower, counted = quantile * calls.timed, 0.0, 0
    for bound in sorted(calls.within):
        within = calls.within[bound]
        if within >= rank:
            part = (rank - counted) / (within - counted) if within > counted else 1.0
            return lower + (bound - lower) * part
        lower, counted = bound, within
    return lower
