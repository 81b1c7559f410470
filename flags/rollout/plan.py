"""The rollout file: how a feature is to reach all merchants."""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Final


class PlanError(Exception):
    """A rollout file is not there or makes no sense; the message names the key."""


class Query(enum.StrEnum):
    """What the controller asks Prometheus; the text of each is in the rollout file."""

    GATED_ENDED = "gated_ended"
    """Calls of the gated methods, by `grpc_code`."""
    GATED_SECONDS = "gated_seconds"
    """The same by duration: the cumulative buckets of a histogram, by `le`."""
    COMPARED_ENDED = "compared_ended"
    """Calls of the methods that both arms can make, by `arm` and `grpc_code`."""
    COMPARED_SECONDS = "compared_seconds"
    """The same by duration, by `arm` and `le`."""
    ERROR_MERCHANTS = "error_merchants"
    """How many merchants of the treatment each `kind` of unexpected error has reached."""
    RATINGS = "ratings"
    """How often the feature was rated, by `rating`, 1 to 5."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of the rollout."""

    percent: int
    """The share of merchants that are let in, 1 to 100."""
    at_least: float
    """How long the phase lasts at least, in seconds."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a feature must keep to."""

    error_rate: float
    """The share of calls that may fail by the server's fault must stay below this."""
    quantile: float
    """Which quantile of the durations is bounded, such as 0.95 ..."""
    slow_seconds: float
    """... and by how many seconds."""
    max_ratio: float
    """How many times worse than the control the treatment may be."""
    new_error_merchants: int
    """From how many merchants on a new kind of unexpected error is critical."""
    rating_mean: float
    """The mean of the ratings must not be below this ..."""
    rating_count: int
    """... of at least so many ratings; fewer are not judged."""


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """The error budget burns too fast when it does so over both spans."""

    burn: float
    """How many times as fast as the budget allows."""
    short: float
    """The span that says it still goes on, in seconds."""
    long: float
    """The span that says it matters, in seconds."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """What rolls back at once."""

    look_every: float
    """Seconds between two looks."""
    least_errors: int
    """How many errors the short span must have at least."""
    windows: tuple[BurnWindow, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A rollout file, read and checked."""

    flag: str
    phases: tuple[Phase, ...]
    """With rising shares."""
    look_every: float
    """Seconds between two looks at the criteria."""
    confidence: float
    """How sure a verdict is, over all its looks together; such as 0.95."""
    criteria: Criteria
    breaker: Breaker
    queries: dict[Query, str]


WINDOW: Final = "$window"
"""What stands in a query for the span that is judged."""


def load_plan(file: Path) -> Plan:
    """Return the plan of a rollout file.

    Raises:
        PlanError: It is not there, is no YAML, or a key is missing, unknown or makes no sense.
    """
    raise NotImplementedError(file)
