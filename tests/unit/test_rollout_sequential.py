"""What counts prove, however often they are looked at."""

import math
import random
from collections import Counter
from collections.abc import Callable
from itertools import accumulate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flags.rollout.sequential import (
    fixed_total_needed,
    high_share,
    low_ratio,
    low_share,
    mean_bounds,
    proves_above,
    proves_below,
    proves_mean_below,
    proves_worse,
    total_needed,
)

_LIMITS = st.sampled_from([0.0005, 0.001, 0.01, 0.05, 0.3])
_CONFIDENCES = st.sampled_from([0.9, 0.95, 0.99])
_TOTALS = st.integers(1, 20_000)
_RATINGS = st.dictionaries(st.integers(1, 5), st.integers(1, 200), min_size=1)


@st.composite
def _counts(draw: st.DrawFn, highest: int = 200) -> tuple[int, int]:
    """Return how many of how many, seldom a large part."""
    total = draw(_TOTALS)
    return draw(st.integers(0, min(total, highest))), total


@pytest.mark.parametrize("count, calls", [(0, 2996), (1, 4744), (2, 6296), (3, 7754)])
def test_a_fixed_sample_takes_what_the_poisson_distribution_says(count: int, calls: int) -> None:
    """To claim less than 0.1 % with 95 % takes 2,996 calls without an error, and so on."""
    assert fixed_total_needed(count, 0.001, 0.95) == calls


@pytest.mark.parametrize("count, calls", [(0, 3516), (1, 6638), (2, 8720), (3, 10590), (4, 12407)])
def test_looking_again_and_again_takes_more(count: int, calls: int) -> None:
    """The same claim, at whatever moment it is made, takes 20 to 40 % more calls."""
    assert total_needed(count, 0.001, 0.95) == calls
    assert proves_below(count, calls, 0.001, 0.95)
    assert not proves_below(count, calls - 1, 0.001, 0.95)


def test_a_quantile_takes_some_dozens_of_calls() -> None:
    """That p95 keeps a bound takes 59 quick calls in a fixed sample, and 69 here."""
    assert math.ceil(math.log(0.05) / math.log(0.95)) == 59
    assert total_needed(0, 0.05, 0.95) == 69


def test_two_failures_prove_nothing() -> None:
    """However few calls there are, and however low the limit is, a third failure is needed."""
    assert not proves_above(2, 2, 1e-9, 0.95)
    assert proves_above(3, 3, 0.001, 0.95)


@given(_counts(), _LIMITS, _CONFIDENCES)
def test_never_above_and_below(counts: tuple[int, int], limit: float, confidence: float) -> None:
    """Whatever was counted, a share isn't proven to be on both sides of a limit."""
    assert not (
        proves_above(*counts, limit, confidence) and proves_below(*counts, limit, confidence)
    )


@given(_counts(), st.integers(0, 50), _LIMITS, _CONFIDENCES)
def test_more_failures_never_speak_for_it(
    counts: tuple[int, int], more: int, limit: float, confidence: float
) -> None:
    """Of as many calls, more failures prove more against, and less for a feature."""
    count, total = counts
    assume(count + more <= total)
    if proves_above(count, total, limit, confidence):
        assert proves_above(count + more, total, limit, confidence)
    if proves_below(count + more, total, limit, confidence):
        assert proves_below(count, total, limit, confidence)


@given(_counts(), st.integers(0, 5000), _LIMITS, _CONFIDENCES)
def test_more_successes_never_speak_against_it(
    counts: tuple[int, int], more: int, limit: float, confidence: float
) -> None:
    """With as many failures, more calls prove more for, and less against a feature."""
    count, total = counts
    if proves_below(count, total, limit, confidence):
        assert proves_below(count, total + more, limit, confidence)
    if proves_above(count, total + more, limit, confidence):
        assert proves_above(count, total, limit, confidence)


@given(_counts(), _LIMITS, _CONFIDENCES)
def test_bounds_say_what_is_proven(
    counts: tuple[int, int], limit: float, confidence: float
) -> None:
    """A limit is below the lower bound, or over the upper one, where just that is proven."""
    count, total = counts
    low, high = low_share(*counts, confidence), high_share(*counts, confidence)

    assert 0 <= low <= count / total <= high <= 1
    assume(not math.isclose(limit, low, rel_tol=1e-6))
    assume(not math.isclose(limit, high, rel_tol=1e-6))
    assert (limit < low) == proves_above(*counts, limit, confidence)
    assert (limit > high) == proves_below(*counts, limit, confidence)


@given(_counts(), _counts(), st.integers(0, 20), st.sampled_from([1.0, 1.25, 2.0]))
def test_a_comparison_follows_the_counts(
    treatment: tuple[int, int], control: tuple[int, int], more: int, ratio: float
) -> None:
    """Nothing is proven where the measured ratio is allowed; the reverse is never proven too."""
    worse = proves_worse(treatment, control, ratio, 0.95, 0.001)
    if worse:
        assert treatment[0] * control[1] > ratio * control[0] * treatment[1]
        assert not proves_worse(control, treatment, 1 / ratio, 0.95, 0.001)
        failing = min(treatment[0] + more, treatment[1])
        assert proves_worse((failing, treatment[1]), control, ratio, 0.95, 0.001)
    low = low_ratio(treatment, control, ratio, 0.95, 0.001)
    assert worse == (low >= ratio) or math.isclose(low, ratio)


@given(_RATINGS, _CONFIDENCES)
def test_a_mean_is_between_its_bounds(ratings: dict[int, int], confidence: float) -> None:
    """Nothing is proven of a mean that the values themselves have."""
    mean = sum(value * count for value, count in ratings.items()) / sum(ratings.values())
    low, high = mean_bounds(ratings, 1, 5, confidence)

    assert 1 <= low <= mean <= high <= 5
    if mean < 5:
        assert not proves_mean_below(ratings, mean, 5, confidence)


def _binomial(generator: random.Random, total: int, share: float) -> int:
    """Return a count by its rare cases: the gaps between them are drawn."""
    count, at = 0, 0
    while True:
        at += 1 + int(math.log(1 - generator.random()) / math.log1p(-share))
        if at > total:
            return count
        count += 1


def _wrong(rollouts: int, ever: Callable[[random.Random], bool]) -> int:
    """Return in how many of so many rollouts something false was ever proven."""
    return sum(ever(random.Random(seed)) for seed in range(rollouts))


# Of 400, with 5 %, at most 20 are expected; 33 or more would be a chance of less than 1 in 300.
_ROLLOUTS = 400
_AT_MOST = 32


@pytest.mark.parametrize("proves", [proves_above, proves_below])
def test_looks_do_not_wear_the_confidence_down(
    proves: Callable[[int, int, float, float], bool],
) -> None:
    """With a share that is just the limit, 200 looks prove something false in 5 % at most."""

    def ever(generator: random.Random) -> bool:
        steps = [_binomial(generator, 100, 0.01) for _ in range(200)]
        return any(
            proves(count, 100 * look, 0.01, 0.95)
            for look, count in enumerate(accumulate(steps), start=1)
        )

    assert 0 < _wrong(_ROLLOUTS, ever) <= _AT_MOST


@pytest.mark.parametrize("control_first", [False, True])
def test_looks_do_not_wear_a_comparison_down(*, control_first: bool) -> None:
    """The same for a ratio that is just allowed: with arms that grow together, or in turn."""

    def ever(generator: random.Random) -> bool:
        control = [_binomial(generator, 300, 0.004) for _ in range(100)]
        controls = [sum(control)] * 100 if control_first else list(accumulate(control))
        treatments = accumulate(_binomial(generator, 100, 0.005) for _ in range(100))
        return any(
            proves_worse(
                (count, 100 * look),
                (other, 30_000 if control_first else 300 * look),
                1.25,
                0.95,
                0.0005,
            )
            for look, (count, other) in enumerate(zip(treatments, controls, strict=True), start=1)
        )

    assert _wrong(_ROLLOUTS, ever) <= _AT_MOST


def test_looks_do_not_wear_a_mean_down() -> None:
    """The same for ratings whose mean is just the limit."""

    def ever(generator: random.Random) -> bool:
        ratings: Counter[int] = Counter()
        for _ in range(60):
            ratings.update(generator.choices([2, 3, 4, 5], k=5))
            if proves_mean_below(ratings, 3.5, 5, 0.95):
                return True
        return False

    assert 0 < _wrong(_ROLLOUTS, ever) <= _AT_MOST
