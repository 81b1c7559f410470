"""Whether a feature keeps its criteria: PASS, FAIL or HOLD."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from flags.rollout.comparison import MORE_ERRORS, SLOWER
from flags.rollout.evidence import Evidence
from flags.rollout.finding import Case, Finding, Outcome, Reason
from flags.rollout.limits import ERROR_RATE, NEW_KINDS, RATINGS, SLOW
from flags.rollout.plan import Plan

__all__ = ["Finding", "Outcome", "Reason", "Verdict", "decide", "judge"]

_CRITERIA: Final = (ERROR_RATE, SLOW, NEW_KINDS, RATINGS, MORE_ERRORS, SLOWER)


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

    A feature passes when its error rate and its durations are proven to be within their limits, and
    nothing else is broken or unknown. It fails when anything is proven to be broken. Each criterion
    is as sure as the plan asks, over all looks of a phase together (see `sequential`); how often a
    whole rollout goes wrong, over all criteria and phases, is in docs/simulation.md.

    Args:
        plan: The criteria, and how sure to be.
        evidence: Everything that was counted since the phase began.
        known_kinds: The kinds of unexpected errors from before the rollout.
    """
    case = Case(plan, evidence, frozenset(known_kinds))
    findings = tuple(each.explain(case, each.weigh(case)) for each in _CRITERIA)
    return Verdict(_overall([finding.outcome for finding in findings]), findings)


def decide(plan: Plan, evidence: Evidence, known_kinds: Collection[str]) -> Outcome:
    """Return the outcome of `judge` alone: a hundred times as quick, for millions of looks."""
    case = Case(plan, evidence, frozenset(known_kinds))
    return _overall([each.weigh(case) for each in _CRITERIA])


def _overall(outcomes: Collection[Outcome]) -> Outcome:
    for outcome in (Outcome.FAIL, Outcome.HOLD):
        if outcome in outcomes:
            return outcome
    return Outcome.PASS
