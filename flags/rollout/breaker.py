"""When the error budget burns so fast that no proof is waited for.

The windows are those of Google's Site Reliability Workbook (2018), chapter 5: a long one that says
that it matters, and a short one that says that it still goes on.
"""

from collections.abc import Mapping

from flags.rollout.evidence import Calls
from flags.rollout.plan import Breaker, BurnWindow


def burning(breaker: Breaker, error_rate: float, calls: Mapping[float, Calls]) -> BurnWindow | None:
    """Return the first window over both spans of which the budget burns too fast; None: no one.

    Args:
        breaker: How fast is too fast, and from how many errors on.
        error_rate: The budget: the share of calls that may fail.
        calls: The treatment's calls of all methods, by the span up to now, in seconds: every span
            of a window.
    """
    for window in breaker.windows:
        short, long = calls[window.short], calls[window.long]
        allowed = window.burn * error_rate
        if short.failed >= breaker.least_errors and all(
            each.failed >= allowed * each.ended for each in (short, long)
        ):
            return window
    return None
