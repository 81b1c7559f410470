"""Rollouts, simulated: the controller's own code decides at every look."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from flags.rollout.breaker import burning
from flags.rollout.evidence import Calls, Evidence
from flags.rollout.phases import Move, follow, start, time_left, trip
from flags.rollout.plan import BurnWindow, Plan
from flags.rollout.state import State, Status
from flags.rollout.verdict import Outcome, decide, judge
from tests.simulation.model import BOUNDS, KIND, Counts, Feature, Stretch, World

DAYS: Final = 30
"""How long a rollout is followed."""
BREAKER: Final = "breaker"
_AT_ONCE: Final = 192
"""How many looks are drawn at once; the breaker's windows are shorter."""
_KINDS: Final = frozenset({KIND})


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a rollout."""

    status: Status
    """Running: neither completed nor rolled back in time."""
    percent: int
    """The share that it had reached."""
    hours: float
    """After how long."""
    why: str
    """The criteria that rolled it back, or the breaker."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """A look of the controller, or the breaker in its way."""

    at: float
    evidence: Evidence
    burn: BurnWindow | None


def simulate(
    plan: Plan, feature: Feature, calls_per_hour: float, seed: np.random.SeedSequence
) -> Fate:
    """Return what becomes of one rollout.

    The breaker, too, counts from the beginning of the phase.
    """
    world = World(feature, calls_per_hour, plan.look_every, seed)
    move = start(plan, None, found=0, at=0.0, actor="SRE", reason="", known_kinds=_KINDS)
    state, before = move.state, None
    while True:
        moment, after, why = _live(plan, world, state, before)
        if after is None:
            return Fate(state.status, state.percent, DAYS * 24, "")
        if after.state.status is not Status.RUNNING:
            return Fate(after.state.status, state.percent, moment.at / 3600, why)
        state, before = after.state, _together(moment.evidence)


def _live(
    plan: Plan, world: World, state: State, before: Calls | None
) -> tuple[_Moment, Move | None, str]:
    """Return the last moment of a phase, how it ends, and why; None: time is up."""
    for moment in _watch(plan, world, state, before):
        if moment.at > DAYS * 86_400:
            return moment, None, ""
        after, why = _act(plan, state, moment)
        if after is not None:
            return moment, after, why
    raise AssertionError("A phase lasts until something happens.")


def _act(plan: Plan, state: State, moment: _Moment) -> tuple[Move | None, str]:
    """Return what the controller does at a moment, and what rolls back if anything does."""
    if moment.burn:
        return trip(plan, state, str(moment.burn), at=moment.at), BREAKER
    outcome = decide(plan, moment.evidence, _KINDS)
    if outcome is Outcome.HOLD or (outcome is Outcome.PASS and time_left(plan, state, moment.at)):
        return None, ""
    verdict = judge(plan, moment.evidence, _KINDS)
    why = ", ".join(f"{each.criterion} ({each.reason})" for each in verdict.failures)
    return follow(plan, state, verdict, at=moment.at), why


def _watch(plan: Plan, world: World, state: State, before: Calls | None) -> Iterator[_Moment]:
    """Yield the looks of a phase; after a burn there is none."""
    at, stretch = state.phase_since, None
    while True:
        since = stretch
        stretch = world.draw(state.percent, _AT_ONCE, since)
        burn = first_burn(plan, world, stretch, since)
        for index, evidence in enumerate(stretch.evidence(before)):
            if burn and index == math.ceil(burn[0]) - 1:
                yield _Moment(at + (burn[0] - index) * plan.look_every, evidence, burn[1])
                return
            at += plan.look_every
            yield _Moment(at, evidence, None)


def _together(evidence: Evidence) -> Calls:
    """Return both arms' calls: what there is to compare with once all have the feature."""
    arms = evidence.treatment, evidence.control
    ended = sum(arm.ended for arm in arms)
    within = {bound: sum(arm.within[bound] for arm in arms) for bound in BOUNDS}
    return Calls(ended, sum(arm.failed for arm in arms), ended, within)


def first_burn(
    plan: Plan, world: World, stretch: Stretch, since: Stretch | None
) -> tuple[float, BurnWindow] | None:
    """Return when the breaker rolls back, in looks since the stretch began; None: it doesn't."""
    breaker = plan.breaker
    past = math.ceil(max(window.long for window in breaker.windows) / plan.look_every)
    ended = _by_look(stretch.ended, None if since is None else since.ended, past)
    failed = _by_look(stretch.failed, None if since is None else since.failed, past)
    # Where even all looks that a short span touches have too few errors, none is placed in time.
    touched = math.ceil(max(window.short for window in breaker.windows) / plan.look_every) + 1
    if np.convolve(failed, np.ones(touched, dtype=np.int64)).max() < breaker.least_errors:
        return None
    parts = round(plan.look_every / breaker.look_every)
    failures = world.spread(failed, parts)
    calls = world.spread(ended - failed, parts) + failures
    counted: dict[float, tuple[Counts, Counts]] = {}
    for span in {span for window in breaker.windows for span in (window.short, window.long)}:
        steps = round(span / breaker.look_every)
        counted[span] = _over(calls, steps), _over(failures, steps)
    enough = np.zeros(len(calls), dtype=bool)
    for window in breaker.windows:
        enough |= counted[window.short][1] >= breaker.least_errors
    known = len(calls) - len(stretch.ended) * parts
    enough[:known] = False
    for step in np.flatnonzero(enough).tolist():
        spans = {
            span: Calls(int(all_[step]), int(bad[step]), 0, {})
            for span, (all_, bad) in counted.items()
        }
        burn = burning(breaker, plan.criteria.error_rate, spans)
        if burn is not None:
            return (step + 1 - known) / parts, burn
    return None


def _by_look(counts: Counts, since: Counts | None, past: int) -> Counts:
    """Return what came with each look, and before that with the last looks of before."""
    if since is None:
        return np.diff(counts, prepend=0)
    return np.diff(np.concatenate([since[-past - 1 :], counts]))


def _over(counts: Counts, steps: int) -> Counts:
    """Return the sum over the last steps, at each step."""
    sums = np.cumsum(counts)
    sums[steps:] -= sums[:-steps].copy()
    return sums
