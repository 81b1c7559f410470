"""Looking at a rollout's criteria, and for how long a look tells how it does."""

from typing import Final

from flags.rollout.evidence import Evidence, EvidenceMissing, EvidenceSource, Span
from flags.rollout.plan import Plan
from flags.rollout.state import Look, State, Status
from flags.rollout.verdict import Finding, Outcome, Reason, Verdict, judge

_LOOKS: Final = 2
"""The last look is one of now until so many more are due, ..."""
_GRACE: Final = 30.0
"""... and so many seconds over, which they may take."""


def last_looked(state: State) -> float:
    """Return when the criteria were looked at last, or the phase began; seconds since the epoch."""
    return max(state.phase_since, state.look.at if state.look else 0.0)


def fresh_until(plan: Plan, state: State) -> float | None:
    """Return until when the last look is one of now, in seconds since the epoch.

    A phase that has just begun is given as long for its first one. None: the rollout has ended, and
    nobody looks any more.
    """
    if state.status not in (Status.RUNNING, Status.PAUSED):
        return None
    return last_looked(state) + _LOOKS * plan.look_every + _GRACE


def is_fresh(plan: Plan, state: State, now: float) -> bool:
    """Return whether the last look is one of now, or none is due yet."""
    until = fresh_until(plan, state)
    return until is None or now <= until


def look_at_phase(state: State) -> Look | None:
    """Return the last look at the phase; None: the last one, if any, was at the phase before."""
    look = state.look
    return look if look is not None and look.at > state.phase_since else None


async def take_look(plan: Plan, state: State, evidence: EvidenceSource, at: float) -> Look:
    """Return what is known of a phase now, or why it isn't."""
    try:
        found, readings = await evidence.gather(Span(state.phase_since, at), state.before)
    except EvidenceMissing as error:
        return Look(at, None, error.readings, str(error))
    verdict = judge(plan, found, state.known_kinds)
    if found.gaps:
        verdict = _doubt(verdict, found)
    return Look(at, verdict, tuple(readings))


def _doubt(verdict: Verdict, evidence: Evidence) -> Verdict:
    """Return a verdict on evidence with gaps: what is broken is so, the rest is not known."""
    gaps = Finding(
        criterion="gaps in the evidence",
        outcome=Outcome.HOLD,
        reason=Reason.ABSOLUTE,
        value=len(evidence.gaps),
        low=None,
        high=None,
        limit=1,
        sample=evidence.gated.ended + evidence.treatment.ended,
        explanation=" ".join(evidence.gaps),
    )
    outcome = Outcome.FAIL if verdict.outcome is Outcome.FAIL else Outcome.HOLD
    return Verdict(outcome, (*verdict.findings, gaps))
