"""How features are rated."""

from collections.abc import Iterable, Mapping
from typing import Final

from server.metrics.readings import Labels, Readings

_RATINGS: Final = range(1, 6)


class RatingCounts:
    """Counts ratings by feature, arm and rating; the port is `domain.ports.Ratings`.

    The event loop alone counts; any thread may read.
    """

    def __init__(self, features: Iterable[str], readings: Readings) -> None:
        """Show a zero for each rating that there may be: Prometheus sees how it rises from there.

        Args:
            features: The features that can be rated.
            readings: Where the counts are shown.
        """
        self._counts: dict[Labels, int] = {
            (feature, _arm(treatment=treatment), str(rating)): 0
            for feature in features
            for treatment in (True, False)
            for rating in _RATINGS
        }
        readings.counters(
            "patron_feedback_ratings_total",
            "Ratings of features that count: one of a person in 24 hours.",
            self._read,
            ["feature", "arm", "rating"],
        )

    def count(self, feature: str, rating: int, *, treatment: bool) -> None:
        """Count a rating, as the port has it."""
        self._counts[feature, _arm(treatment=treatment), str(rating)] += 1

    def _read(self) -> Mapping[Labels, float]:
        return self._counts


def _arm(*, treatment: bool) -> str:
    return "treatment" if treatment else "control"
