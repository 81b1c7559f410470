"""The world that a simulated rollout takes place in."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flags.rollout.evidence import Calls, Evidence

Counts = NDArray[np.int64]

BOUNDS: Final = (0.25, 0.5, 1.0, 2.0)
"""The buckets of the durations, in seconds."""
MEDIAN_SECONDS: Final = 0.06
SPREAD: Final = 0.8
"""Of the logarithm of the durations: p95 is 0.22 s."""
GATED: Final = 0.5
"""The share of the calls of those who have the feature that are of its own methods."""
RATED: Final = 0.005
"""The share of the gated calls that a merchant rates the feature after."""
RATINGS: Final = (0.04, 0.05, 0.11, 0.27, 0.53)
"""How often 1 to 5 is given: 4.2 on average."""
KIND: Final = "OperationalError"
"""What every failure is, with the feature and without."""
MERCHANTS: Final = 400
"""All that there are."""
CONTROL_ERRORS: Final = 0.0002
"""The share of the control's calls that fail."""


@dataclass(frozen=True, slots=True)
class Feature:
    """What is rolled out."""

    name: str
    gated_errors: float
    """The share of its own calls that fail."""
    other_errors: float
    """The share of the other calls that fail for those who have it."""


GOOD: Final = Feature("as good as the control", CONTROL_ERRORS, CONTROL_ERRORS)
BAD: Final = Feature("0.5 % errors", 0.005, 0.005)
BAD_ALONE: Final = Feature("0.5 % errors, in its own methods alone", 0.005, CONTROL_ERRORS)
FEATURES: Final = (GOOD, BAD, BAD_ALONE)


@dataclass(frozen=True, slots=True)
class Arm:
    """The calls of an arm, cumulative: one row for each look."""

    ended: Counts
    failed: Counts
    within: Counts
    """One column for each bound."""

    def last(self) -> Calls:
        """Return all of them."""
        return Calls(
            int(self.ended[-1]),
            int(self.failed[-1]),
            int(self.ended[-1]),
            dict(zip(BOUNDS, self.within[-1].tolist(), strict=True)),
        )

    def calls(self) -> Iterator[Calls]:
        """Yield what is counted at each look."""
        for ended, failed, within in zip(
            self.ended.tolist(), self.failed.tolist(), self.within.tolist(), strict=True
        ):
            yield Calls(ended, failed, ended, dict(zip(BOUNDS, within, strict=True)))


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happens between a number of looks of one phase."""

    gated: Arm
    treatment: Arm
    control: Arm | None
    """None: all merchants have the feature."""
    ratings: Counts
    """Cumulative: one row for each look, one column for each rating."""

    @property
    def ended(self) -> Counts:
        """The calls of those who have the feature: what the breaker counts, cumulative."""
        return self.gated.ended + self.treatment.ended

    @property
    def failed(self) -> Counts:
        """How many of them failed."""
        return self.gated.failed + self.treatment.failed

    def evidence(self, before: Calls | None) -> Iterator[Evidence]:
        """Yield what is known at each look; `before` stands for a control that there is not."""
        gated, treatment = self.gated.calls(), self.treatment.calls()
        control = self.control.calls() if self.control else None
        for ratings in self.ratings.tolist():
            mine, other = next(gated), next(treatment)
            yield Evidence(
                gated=mine,
                treatment=other,
                control=next(control) if control else before or other,
                error_merchants={KIND: min(MERCHANTS, mine.failed + other.failed)},
                ratings=dict(enumerate(ratings, start=1)),
            )


class World:
    """Draws what happens, for one rollout.

    The calls per hour are those of all merchants and methods together; they come at random, at a
    constant rate, and each arm makes as many of them as it has merchants. Those who have the
    feature make half of theirs of its own methods. Every call is timed.
    """

    def __init__(
        self, feature: Feature, calls_per_hour: float, seconds: float, seed: np.random.SeedSequence
    ) -> None:
        self._feature = feature
        self._calls = calls_per_hour * seconds / 3600
        self._random = np.random.Generator(np.random.PCG64(seed))

    def draw(self, percent: int, looks: int, since: Stretch | None) -> Stretch:
        """Draw what happens up to each of so many looks.

        Args:
            percent: The share of merchants that have the feature.
            looks: How many.
            since: What has happened in the phase before; None: it begins.
        """
        share, feature = percent / 100, self._feature
        gated = self._arm(share * GATED, feature.gated_errors, looks)
        rated = self._random.binomial(gated.ended, RATED)
        ratings = np.cumsum(self._random.multinomial(rated, RATINGS), axis=0)
        return Stretch(
            gated=_added_up(gated, since.gated if since else None),
            treatment=_added_up(
                self._arm(share * (1 - GATED), feature.other_errors, looks),
                since.treatment if since else None,
            ),
            control=_added_up(
                self._arm(1 - share, CONTROL_ERRORS, looks), since.control if since else None
            )
            if percent < 100
            else None,
            ratings=ratings + since.ratings[-1] if since else ratings,
        )

    def spread(self, counts: Counts, parts: int) -> Counts:
        """Spread what is counted between looks over equal parts of the time."""
        return self._random.multinomial(counts, [1 / parts] * parts).ravel()

    def _arm(self, share: float, errors: float, looks: int) -> Arm:
        ended = self._random.poisson(self._calls * share, looks)
        return Arm(
            ended, self._random.binomial(ended, errors), self._random.multinomial(ended, _BUCKETS)
        )


def _added_up(arm: Arm, since: Arm | None) -> Arm:
    """Return an arm's calls by look, cumulative, after those of before."""
    ended, failed = np.cumsum(arm.ended), np.cumsum(arm.failed)
    within = np.cumsum(np.cumsum(arm.within[:, :-1], axis=1), axis=0)
    if since is not None:
        ended += since.ended[-1]
        failed += since.failed[-1]
        within += since.within[-1]
    return Arm(ended, failed, within)


def _buckets() -> list[float]:
    """Return the share of the durations in each bucket, the last one without a bound."""
    normal = NormalDist(float(np.log(MEDIAN_SECONDS)), SPREAD)
    reached = [0.0, *(normal.cdf(float(np.log(bound))) for bound in BOUNDS), 1.0]
    return [high - low for low, high in pairwise(reached)]


_BUCKETS: Final = _buckets()
