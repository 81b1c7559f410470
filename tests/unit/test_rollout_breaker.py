"""When the error budget burns too fast."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.rollout.breaker import burning
from flags.rollout.evidence import Calls
from tests.support.rollouts import PLAN, calls

QUICKLY, SLOWLY = PLAN.breaker.windows
SPANS = (300.0, 1800.0, 3600.0, 21_600.0)


def of(*counts: tuple[int, int]) -> dict[float, Calls]:
    """Return the calls of each span: how many ended and failed."""
    return {span: calls(*count) for span, count in zip(SPANS, counts, strict=True)}


@pytest.mark.parametrize(
    "counted, window",
    [
        (of((0, 0), (0, 0), (0, 0), (0, 0)), None),
        (of((1000, 15), (6000, 15), (12_000, 180), (70_000, 180)), QUICKLY),
        (of((1000, 9), (1000, 9), (1000, 9), (1000, 9)), None),
        (of((1000, 15), (6000, 15), (12_000, 15), (70_000, 15)), None),
        (of((1000, 0), (6000, 0), (12_000, 180), (70_000, 180)), None),
        (of((1000, 6), (6000, 36), (12_000, 72), (70_000, 420)), SLOWLY),
        (of((10, 10), (10, 10), (10, 10), (10, 10)), QUICKLY),
    ],
    ids=["no calls", "quickly", "too few errors", "short alone", "over", "slowly", "all fail"],
)
def test_burns(counted: dict[float, Calls], window: object) -> None:
    """It takes both spans of a window, and enough errors in the short one."""
    assert burning(PLAN.breaker, PLAN.criteria.error_rate, counted) is window


_COUNTS = st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 500)), min_size=4, max_size=4)


@given(_COUNTS, st.integers(1, 100))
def test_more_errors_never_calm_it(counts: list[tuple[int, int]], more: int) -> None:
    """What burns with some errors burns with more."""
    some = of(*((ended, min(failed, ended)) for ended, failed in counts))
    worse = of(*((ended, min(failed + more, ended)) for ended, failed in counts))
    if burning(PLAN.breaker, 0.001, some):
        assert burning(PLAN.breaker, 0.001, worse)
