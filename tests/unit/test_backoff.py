"""How long is waited before another try."""

from hypothesis import given
from hypothesis import strategies as st

from server.workers.backoff import Backoff


def ceilings(failures: int) -> list[float]:
    """Return the longest wait after each of so many failures in a row."""
    return [min(0.2 * 2**failure, 30.0) for failure in range(failures)]


@given(st.lists(st.floats(0, 59.9), max_size=30))
def test_doubles_up_to_half_a_minute(lives: list[float]) -> None:
    """Each wait is in the upper half of a range that doubles, whatever short lives were between."""
    backoff = Backoff()
    for ceiling, lived in zip(ceilings(len(lives)), lives, strict=True):
        assert ceiling / 2 <= backoff.delay(lived) <= ceiling


@given(st.integers(0, 30), st.floats(60, 1e9))
def test_starts_over_after_a_minute(failures: int, lived: float) -> None:
    """What has lived for a minute is tried again as soon as after a first failure."""
    backoff = Backoff()
    for _ in range(failures):
        backoff.delay(0)
    assert backoff.delay(lived) <= 0.2
    assert 0.2 <= backoff.delay(0) <= 0.4
