"""Looking at a rollout's criteria."""

from flags.rollout.evidence import EvidenceMissing, EvidenceSource, Span
from flags.rollout.plan import Plan
from flags.rollout.state import Look, State
from flags.rollout.verdict import judge


async def take_look(plan: Plan, state: State, evidence: EvidenceSource, at: float) -> Look:
    """Return what is known of a phase now, or why it isn't."""
    try:
        found, readings = await evidence.gather(Span(state.phase_since, at), state.before)
    except EvidenceMissing as error:
        return Look(at, None, error.readings, str(error))
    return Look(at, judge(plan, found, state.known_kinds), tuple(readings))
