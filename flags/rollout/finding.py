"""What is found out about one criterion."""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from flags.rollout.evidence import Evidence
from flags.rollout.plan import Plan


class Outcome(enum.StrEnum):
    """What is known of a criterion, or of the feature."""

    PASS = "PASS"  # noqa: S105 - no password.
    """It is kept: a limit as surely as the plan asks; a comparison is not broken."""
    FAIL = "FAIL"
    """It is broken, as surely as the plan asks."""
    HOLD = "HOLD"
    """Neither is known yet."""
    NOT_JUDGED = "NOT JUDGED"
    """There is nothing to judge it by, and it holds nothing back."""


class Reason(enum.StrEnum):
    """What a failed criterion was measured against."""

    ABSOLUTE = "absolute"
    """A fixed limit."""
    RELATIVE = "relative"
    """The control."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion, judged: one line of the go/no-go table."""

    criterion: str
    """Its name, such as `error rate`."""
    outcome: Outcome
    reason: Reason
    value: float | None
    """What was measured; None: nothing yet."""
    low: float | None
    """What the true value is at least ..."""
    high: float | None
    """... and at most, as surely as the plan asks; None: unbounded."""
    limit: float
    """What it must stay below (or, the mean of ratings, not fall below)."""
    sample: int
    """How many calls or ratings it was measured on."""
    explanation: str
    """One sentence for a reader, such as `5 ratings, 4.20 on average: judged from 30 on`."""


@dataclass(frozen=True, slots=True)
class Case:
    """What there is to judge."""

    plan: Plan
    evidence: Evidence
    known_kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Criterion:
    """How one thing that a feature must keep to is judged."""

    weigh: Callable[[Case], Outcome]
    """Says what is known of it, quickly ..."""
    explain: Callable[[Case, Outcome], Finding]
    """... and this adds everything that a reader wants to know."""


def as_percent(share: float) -> str:
    """Return a share for a reader."""
    return f"{share * 100:.3g} %"
