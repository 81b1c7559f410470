"""What has been counted of a feature, for a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

SERVER_FAULTS: Final = frozenset(
    {"UNKNOWN", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED"}
)
"""The status codes that count as the server's fault; docs/rollout.md gives the whole table."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one arm that ended in a span."""

    ended: int
    """How many; what the gate refused is not in it."""
    failed: int
    """How many of them by the server's fault."""
    timed: int
    """How many have a duration: those of one request and one answer."""
    within: Mapping[float, int]
    """How many of those took at most so many seconds: the cumulative buckets of a histogram."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One query, as it was asked, and what came back, for a reader."""

    query: str
    answer: str
    """The values, or what went wrong."""


class EvidenceMissing(Exception):
    """A metric cannot be read: Prometheus does not answer, or its answer makes no sense."""

    def __init__(self, problem: str, readings: Sequence[Reading] = ()) -> None:
        super().__init__(problem)
        self.readings: Final = tuple(readings)
        """Every query, and what came back or went wrong."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a phase."""

    gated: Calls
    """The treatment's calls of the methods that the flag gates."""
    treatment: Calls
    """The treatment's calls of the methods that both arms can make ..."""
    control: Calls
    """... and the control's; when all merchants are let in, both arms' in the span before."""
    error_merchants: Mapping[str, int]
    """How many merchants of the treatment each kind of unexpected error has reached."""
    ratings: Mapping[int, int]
    """How often each rating, 1 to 5, was given."""
    gaps: tuple[str, ...] = ()
    """Why more may have happened than was counted, in sentences: what was counted is true, but
    shows nothing to be kept."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time, in seconds since the epoch."""

    since: float
    until: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.until - self.since


class EvidenceSource(Protocol):
    """Where the evidence comes from."""

    async def gather(self, phase: Span, before: Span | None) -> tuple[Evidence, list[Reading]]:
        """Return what was counted in a phase, and the queries behind it.

        Args:
            phase: From the beginning of the phase until now.
            before: The span to compare with when there is no control arm; None: there is one.

        Raises:
            EvidenceMissing: A metric cannot be read; its `readings` tell which.
        """

    async def burned(self, span: Span) -> Calls:
        """Return the treatment's calls of all methods in a span, for the breaker.

        No calls may be those of servers that nobody watches; see `require_servers`.

        Raises:
            EvidenceMissing: A metric cannot be read.
        """

    async def require_servers(self, at: float) -> None:
        """Make sure that at least one server is watched at a time.

        Raises:
            EvidenceMissing: None is, or that cannot be read.
        """
