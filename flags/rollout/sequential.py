"""What counts prove, however often they are looked at.

A confidence interval of a fixed sample holds for one look. Who looks every quarter of an hour, and
acts on the first look that proves something, is wrong far more often than the interval says. Every
test here is an e-process instead: a number that starts at 1, and whose mean, if the hypothesis is
true, is at most 1 at whatever moment one stops. By Ville's inequality it ever reaches 1 / (1 -
confidence) with a probability of at most 1 - confidence: over all looks together, however many, at
whatever times, and whatever was decided by earlier ones. Reaching it disproves the hypothesis.

- A share (of failed calls, of slow calls): a mixture of likelihood ratios against the limit, after
  Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of
  Mathematical Statistics 41 (1970); Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform,
  nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021).
- A ratio of two shares: such a mixture over the greatest likelihood that the hypothesis allows, as
  the control's own share is not known: Wasserman, Ramdas and Balakrishnan, "Universal inference",
  PNAS 117 (2020).
- A mean of bounded values: a mixture of constant bets, after Waudby-Smith and Ramdas, "Estimating
  means of bounded random variables by betting", JRSS B 86 (2024).

The counts are everything since one fixed moment. Calls are taken to be independent; what comes in
bursts proves less than it seems to.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

_BELOW: Final = ((0.4, 0.01), (0.3, 0.2), (0.2, 0.4), (0.1, 0.65))
"""Weights, and how many times the odds at the limit: most of it on shares far below the limit, as
a claim on few calls needs them."""
_ABOVE: Final = ((0.2, 1.5), (0.6, 3.0), (0.2, 6.0))
"""The same over the limit. No failure counts more than six times: with 95 %, two prove nothing."""
_WORSE: Final = ((1 / 3, 1.5), (1 / 3, 3.0), (1 / 3, 8.0))
"""Weights, and how many times the ratio that is allowed."""
_BETS: Final = ((1 / 3, 0.1), (1 / 3, 0.3), (1 / 3, 0.6))
"""Weights, and which part of all there is to lose is staked on each value."""
_STEPS: Final = 40
_NONE: Final = 1e-3
"""Stands for a count of 0 where a search needs an end."""


def proves_below(count: int, total: int, limit: float, confidence: float) -> bool:
    """Return whether a share is proven to be below a limit.

    Args:
        count: How many of all have it.
        total: How many there are.
        limit: Between 0 and 1; the hypothesis is that the share is this or more.
        confidence: Of the proof, over all looks together.
    """
    # The second is the most that any alternative can say, and it says so for a count of 0.
    if count >= total * limit or -total * math.log1p(-limit) < -math.log1p(-confidence):
        return False
    return _disproved(count, total, _tilts(_BELOW, limit), confidence)


def proves_above(count: int, total: int, limit: float, confidence: float) -> bool:
    """Return whether a share is proven to be over a limit; see `proves_below`."""
    if count <= total * limit:
        return False
    return _disproved(count, total, _tilts(_ABOVE, limit), confidence)


def low_share(count: int, total: int, confidence: float) -> float:
    """Return what a share is at least: the highest limit that it is proven to be over."""
    if count == 0:
        return 0.0
    return _last(lambda limit: proves_above(count, total, limit, confidence), 0.0, count / total)


def high_share(count: int, total: int, confidence: float) -> float:
    """Return what a share is at most: the lowest limit that it is proven to be below."""
    if count == total:
        return 1.0
    return _last(lambda limit: proves_below(count, total, limit, confidence), 1.0, count / total)


def total_needed(count: int, limit: float, confidence: float) -> int:
    """Return the least total of which a count proves that the share is below a limit."""
    high = max(1, math.ceil(count / limit))
    while not proves_below(count, high, limit, confidence):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if proves_below(count, middle, limit, confidence):
            high = middle
        else:
            low = middle
    return high


def fixed_total_needed(count: int, limit: float, confidence: float) -> int:
    """Return what `total_needed` would be for a single look at a total fixed before.

    By the Poisson distribution: the mean under which so few are as unlikely as the confidence says.
    """

    def likely(mean: float) -> bool:
        terms = (mean**each / math.factorial(each) for each in range(count + 1))
        return math.exp(-mean) * sum(terms) > 1 - confidence

    high = 1.0
    while likely(high):
        high *= 2
    return math.ceil(_last(likely, 0.0, high) / limit)


def proves_worse(
    treatment: tuple[int, int],
    control: tuple[int, int],
    ratio: float,
    confidence: float,
    guess: float,
) -> bool:
    """Return whether the treatment's share is proven to be over `ratio` times the control's.

    For shares of a few percent or less, as of failed calls: the counts are taken for Poisson's. The
    arms may grow in any order and at any pace, also the one after the other.

    Args:
        treatment: How many of all have it, and how many there are.
        control: The same.
        ratio: The hypothesis is that the treatment's share is so many times the control's, or less.
        confidence: Of the proof, over all looks together.
        guess: About which share is expected of the control; a wrong guess costs time alone.
    """
    (count, total), (control_count, control_total) = treatment, control
    if count * control_total <= ratio * control_count * total:
        return False
    both = count + control_count
    # The likelihood of the alternatives, the control's share drawn from an exponential distribution
    # around the guess, over that of the best hypothesis: the same share for both arms, with the
    # treatment's calls taken `ratio` times.
    base = (
        -math.log(guess)
        + math.lgamma(both + 1)
        + both * (1 - math.log(both) + math.log(ratio * total + control_total))
    )
    fixed = 1 / guess + control_total
    return _reached(
        [
            math.log(weight)
            + count * math.log(times)
            + base
            - (both + 1) * math.log(fixed + ratio * times * total)
            for weight, times in _WORSE
        ],
        confidence,
    )


def low_ratio(
    treatment: tuple[int, int],
    control: tuple[int, int],
    limit: float,
    confidence: float,
    guess: float,
) -> float:
    """Return how many times the control's share the treatment's is at least.

    It is over the limit if `proves_worse` says so there.
    """
    (count, total), (control_count, control_total) = treatment, control
    if count == 0 or control_total == 0:
        return 0.0

    def worse(ratio: float) -> bool:
        return proves_worse(treatment, control, ratio, confidence, guess)

    measured = count * control_total / (total * max(control_count, _NONE))
    if worse(limit):
        return _last(worse, limit, measured)
    return _last(worse, 0.0, min(limit, measured))


def proves_mean_below(
    counts: Mapping[int, int], limit: float, best: int, confidence: float
) -> bool:
    """Return whether the mean of values is proven to be below a limit.

    Args:
        counts: How often there was which value.
        limit: The hypothesis is that the mean is this or more.
        best: No value is higher.
        confidence: Of the proof, over all looks together.
    """
    stakes = [(math.log(weight), part / (best - limit)) for weight, part in _BETS]
    return _reached(
        [
            weight
            + sum(count * math.log1p(stake * (limit - value)) for value, count in counts.items())
            for weight, stake in stakes
        ],
        confidence,
    )


def mean_bounds(
    counts: Mapping[int, int], worst: int, best: int, confidence: float
) -> tuple[float, float]:
    """Return what the mean of values is at least, and at most."""
    total = sum(counts.values())
    mean = sum(value * count for value, count in counts.items()) / total
    mirrored = {worst + best - value: count for value, count in counts.items()}
    high = _last(
        lambda limit: limit < best and proves_mean_below(counts, limit, best, confidence),
        float(best),
        mean,
    )
    low = _last(
        lambda limit: limit < best and proves_mean_below(mirrored, limit, best, confidence),
        float(best),
        worst + best - mean,
    )
    return worst + best - low, high


@lru_cache(maxsize=64)
def _tilts(
    alternatives: tuple[tuple[float, float], ...], limit: float
) -> tuple[tuple[float, float, float], ...]:
    """Return of each alternative: its weight, and what a case more and one in all change.

    All of them are logarithms. With the odds `times` as high, the likelihood ratio is times **
    count / (1 + limit * (times - 1)) ** total.
    """
    return tuple(
        (math.log(weight), math.log(times), math.log1p(limit * (times - 1)))
        for weight, times in alternatives
    )


def _disproved(
    count: int, total: int, tilts: tuple[tuple[float, float, float], ...], confidence: float
) -> bool:
    """Return whether the counts disprove a limit."""
    # As `_reached`, without a list: this is asked most often.
    enough, evidence = -math.log1p(-confidence), 0.0
    for weight, gain, cost in tilts:
        each = weight + count * gain - total * cost
        if each >= enough:
            return True
        evidence += math.exp(each)
    return evidence * (1 - confidence) >= 1


def _reached(logarithms: Iterable[float], confidence: float) -> bool:
    """Return whether a sum is what disproves a hypothesis."""
    enough = -math.log1p(-confidence)
    evidence = 0.0
    for each in logarithms:
        if each >= enough:
            return True
        evidence += math.exp(each)
    return evidence * (1 - confidence) >= 1


def _last(holds: Callable[[float], bool], good: float, bad: float) -> float:
    """Return how far from `good` to `bad` something holds."""
    for _ in range(_STEPS):
        middle = (good + bad) / 2
        if holds(middle):
            good = middle
        else:
            bad = middle
    return good
