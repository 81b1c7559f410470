"""Whether a feature keeps its criteria: PASS, FAIL or HOLD."""

import enum
from collections.abc import Collection
from dataclasses import dataclass

from flags.rollout.evidence import Evidence
from flags.rollout.plan import Plan


class Outcome(enum.StrEnum):
    """What is known of a criterion, or of the feature."""

    PASS = "PASS"  # noqa: S105 - no password.
    """It is kept, as surely as the plan asks."""
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
    """One sentence for a reader, such as `2,400 of about 2,996 calls that a claim takes`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about a phase, and why."""

    outcome: Outcome
    findings: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The criteria that are broken."""
        return tuple(f for f in self.findings if f.outcome is Outcome.FAIL)


def judge(plan: Plan, evidence: Evidence, known_kinds: Collection[str]) -> Verdict:
    """Return what the evidence of a phase says.

    Args:
        plan: The criteria, and how sure to be.
        evidence: Everything that was counted since the phase began.
        known_kinds: The kinds of unexpected errors from before the rollout.
    """
    raise NotImplementedError(plan, evidence, known_kinds)
