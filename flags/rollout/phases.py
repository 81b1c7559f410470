"""How a rollout moves from phase to phase: who may move it, when, and where to.

Nothing here looks at a clock, at Unleash or at a database. Every function takes a state and returns
what is to become of it; `at` is now, in seconds since the epoch.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

from flags.rollout.evidence import Span
from flags.rollout.plan import Plan
from flags.rollout.state import GOING, Entry, State, Status
from flags.rollout.verdict import Finding, Outcome, Verdict

CONTROLLER: Final = "controller"
"""The actor of what no person asked for."""
_ALL: Final = 100
_CLIMBS: Final = ("promote", "advance")
"""What goes on to the next phase."""


class MoveRefused(Exception):
    """A rollout cannot do now what a person asks for; the message tells them why."""


@dataclass(frozen=True, slots=True)
class Move:
    """What is to become of a rollout."""

    state: State
    """Its next state; the entries are the last of its history."""
    percent: int | None
    """The share to set in Unleash; None: leave it as it is."""
    entries: tuple[Entry, ...]
    """What is new in the history, the oldest first."""

    @property
    def entry(self) -> Entry:
        """What the move itself adds to the history: the last of them."""
        return self.entries[-1]


def phase_of(plan: Plan, percent: int) -> int:
    """Return the index of the last phase whose share is reached; -1: not even the first's."""
    return sum(phase.percent <= percent for phase in plan.phases) - 1


def time_left(plan: Plan, state: State, at: float) -> float:
    """Return for how many seconds the phase lasts at least from now on; 0: it may pass."""
    phase = phase_of(plan, state.percent)
    if phase < 0:
        return 0.0
    return max(0.0, state.phase_since + plan.phases[phase].at_least - at)


def start(
    plan: Plan,
    before: State | None,
    *,
    found: int,
    at: float,
    actor: str,
    reason: str,
    known_kinds: Iterable[str],
    revision: int = 0,
) -> Move:
    """Begin with the first phase, or go on from where the last rollout was rolled back to.

    Nobody loses a feature by a start.

    Args:
        plan: Where it is to go.
        before: The state of an earlier rollout, whose history goes on and whose kinds of errors are
            still known; None: there was none.
        found: The share that the flag lets in now.
        at: Now.
        actor: Who starts it.
        reason: Why.
        known_kinds: The kinds of unexpected errors that there are without the feature.
        revision: The last thing that was done to the flag by then; 0: it is not known.

    Raises:
        MoveRefused: It goes on already; or more are let in than the first phase would.
    """
    if before is not None and before.status in GOING:
        raise MoveRefused(f"The rollout is {before.status} at {before.percent} % already.")
    percent = plan.phases[0].percent
    if found > percent:
        _demand_rolled_back(before, found, percent)
        note = f"from {found} % on, to which it was rolled back"
        percent, reason = found, f"{reason} ({note})" if reason else note
    entry = Entry(at, "start", actor, percent, reason)
    history = () if before is None else before.history
    known = frozenset(known_kinds) | frozenset(() if before is None else before.known_kinds)
    state = State(
        flag=plan.flag,
        status=Status.RUNNING,
        phase=phase_of(plan, percent),
        percent=percent,
        started_at=at,
        phase_since=at,
        revision=revision,
        before=_span_before(plan, at, at) if percent == _ALL else None,
        known_kinds=tuple(sorted(known)),
        history=history,
    )
    return replace(_note(state, entry), percent=percent)


def follow(plan: Plan, state: State, verdict: Verdict, *, at: float) -> Move | None:
    """Do what the verdict on the phase asks for; None: nothing moves.

    PASS after the phase's least time: the next phase, or, after the last one, the end. FAIL: the
    last good phase, and then stop.
    """
    if state.status is not Status.RUNNING or state.blocked is not None:
        return None
    if verdict.outcome is Outcome.FAIL:
        why = " ".join(_describe(finding) for finding in verdict.failures)
        return _fall(plan, state, None, Entry(at, "roll back", CONTROLLER, 0, why))
    if verdict.outcome is Outcome.PASS and not time_left(plan, state, at):
        why = "Every criterion is kept, and the phase has lasted its least time."
        return _climb(plan, state, "promote", Entry(at, "complete", CONTROLLER, 0, why))
    return None


def trip(plan: Plan, state: State, why: str, *, at: float) -> Move | None:
    """Roll back at once, as the breaker asks for, blocked or not; None: it isn't running."""
    if state.status is not Status.RUNNING:
        return None
    return _fall(plan, state, None, Entry(at, "break", CONTROLLER, 0, why))


def without_move(state: State, *, found: int, at: float) -> State:
    """Return a state without the move that was about to be made.

    Unless the flag has its share, that has been overtaken: as the record tells of the move already,
    it tells of that too.
    """
    moving_from = state.moving_from
    after = replace(state, moving_from=None)
    if moving_from is None or found == state.percent:
        return after
    move = f"The move from {moving_from} % to {state.percent} %"
    why = f"{move} was overtaken: it was {found} % by then."
    return _note(after, Entry(at, "overtaken", CONTROLLER, found, why)).state


def stand_back(
    plan: Plan,
    state: State,
    *,
    found: int,
    at: float,
    revision: int = 0,
    change: str | None = None,
) -> Move:
    """Leave the flag to the person who changed it, until `resume`.

    What has ended stays so: then the change is only noted. `change` is what Unleash says of it, and
    `revision` the last thing that was done to the flag.
    """
    why = f"The flag lets in {found} % instead of {state.percent} %: a person changed it."
    if found == state.percent:
        why = f"A person changed the flag, which lets in {found} % as before."
    if change is not None:
        why = f"{why} Unleash: {change}"
    going = state.status in GOING
    after = replace(
        state,
        status=Status.PAUSED if going else state.status,
        paused=why if going else state.paused,
        revision=revision,
    )
    return _take_over(plan, after, Entry(at, "stand back", CONTROLLER, found, why))


def pause(plan: Plan, state: State, *, at: float, actor: str, reason: str) -> Move:
    """Change nothing until `resume`; the breaker doesn't either.

    Raises:
        MoveRefused: It isn't running.
    """
    del plan
    _demand(state, Status.RUNNING)
    after = replace(state, status=Status.PAUSED, paused=reason)
    return _note(after, Entry(at, "pause", actor, state.percent, reason))


def resume(
    plan: Plan,
    state: State,
    *,
    found: int,
    at: float,
    actor: str,
    reason: str,
    revision: int = 0,
) -> Move:
    """Go on from how the flag stands now, with evidence from now on.

    `revision` is the last thing that was done to the flag; 0: it is not known.

    Raises:
        MoveRefused: It isn't paused.
    """
    _demand(state, Status.PAUSED)
    after = replace(state, status=Status.RUNNING, paused=None, revision=revision)
    return _take_over(plan, after, Entry(at, "resume", actor, found, reason))


def block(plan: Plan, state: State, *, at: float, actor: str, reason: str) -> Move:
    """Let no verdict move it until `unblock`; the breaker still may.

    Raises:
        MoveRefused: It has ended, or is blocked already.
    """
    del plan
    _demand(state, Status.RUNNING, Status.PAUSED)
    if state.blocked is not None:
        raise MoveRefused(f"The rollout is blocked already: {state.blocked}")
    after = replace(state, blocked=reason)
    return _note(after, Entry(at, "block", actor, state.percent, reason))


def unblock(plan: Plan, state: State, *, at: float, actor: str, reason: str) -> Move:
    """Let verdicts move it again.

    Raises:
        MoveRefused: It isn't blocked.
    """
    del plan
    if state.blocked is None:
        raise MoveRefused("The rollout is not blocked.")
    after = replace(state, blocked=None)
    return _note(after, Entry(at, "unblock", actor, state.percent, reason))


def advance(plan: Plan, state: State, *, at: float, actor: str, reason: str) -> Move:
    """Go to the next phase now, whatever is known; from the last one, to the end.

    Raises:
        MoveRefused: It isn't running, or is blocked.
    """
    _demand(state, Status.RUNNING)
    if state.blocked is not None:
        raise MoveRefused(f"The rollout is blocked: {state.blocked}")
    return _climb(plan, state, "advance", Entry(at, "complete", actor, 0, reason))


def roll_back(
    plan: Plan, state: State, *, to: int | None, at: float, actor: str, reason: str
) -> Move:
    """Go back, whatever the status, and stop until `start`.

    Args:
        plan: The phases.
        state: Where the rollout stands.
        to: The share to go back to; None: the last good phase's, or 0.
        at: Now.
        actor: Who asks for it.
        reason: Why.

    Raises:
        MoveRefused: That would let in more merchants than now, or less than nobody.
    """
    if to is not None and not 0 <= to <= state.percent:
        raise MoveRefused(f"A roll back goes to 0 to {state.percent} %, not to {to} %.")
    return _fall(plan, state, to, Entry(at, "roll back", actor, 0, reason))


def _describe(finding: Finding) -> str:
    return f"{finding.criterion} ({finding.reason}): {finding.explanation}"


def _demand_rolled_back(before: State | None, found: int, first: int) -> None:
    """Refuse a start that would take a feature away."""
    told = f"The flag lets in {found} % already, more than the first phase's {first} %."
    if before is None or found != before.percent:
        raise MoveRefused(f"{told} Set it to at most {first} % in Unleash first.")
    if before.status is not Status.STOPPED:
        raise MoveRefused(
            f"{told} The rollout is {before.status}: to begin it anew, take the feature back with "
            f"`rollback --to {first}` first."
        )


def _demand(state: State, *statuses: Status) -> None:
    if state.status not in statuses:
        raise MoveRefused(f"The rollout is {state.status}, not {' or '.join(statuses)}.")


def _climb(plan: Plan, state: State, action: str, complete: Entry) -> Move:
    """Go to the next phase by an action of that name, or complete the rollout by that entry."""
    following = phase_of(plan, state.percent) + 1
    if following == len(plan.phases):
        after = replace(state, status=Status.COMPLETED)
        return _note(after, replace(complete, percent=state.percent))
    percent = plan.phases[following].percent
    entry = replace(complete, action=action, percent=percent)
    return replace(_adopt(plan, state, percent, entry), percent=percent)


def _fall(plan: Plan, state: State, to: int | None, entry: Entry) -> Move:
    """Go back to a share (None: the last good phase's), and stop."""
    if to is None:
        to = _good_share(plan, state)
    after = replace(state, status=Status.STOPPED, blocked=None, paused=None)
    return replace(_adopt(plan, after, to, replace(entry, percent=to)), percent=to)


def _good_share(plan: Plan, state: State) -> int:
    """Return the share of the last good phase; 0: there is none.

    A phase is good when this rollout went on from it, by a verdict or a person. A share between two
    phases, which a person has set, is none: from 30 % it goes back to 10 % if that phase was good,
    else to nobody. One that was rolled back, and started where it was then, is still the same.
    """
    first = plan.phases[0].percent
    entries = takewhile(
        lambda entry: entry.action != "start" or entry.percent > first, reversed(state.history)
    )
    climbed = max((entry.percent for entry in entries if entry.action in _CLIMBS), default=0)
    shares = (phase.percent for phase in plan.phases)
    return max((share for share in shares if share < min(climbed, state.percent)), default=0)


def _take_over(plan: Plan, state: State, entry: Entry) -> Move:
    """Take the share of an entry, as it was found, as the rollout's own."""
    after = without_move(state, found=entry.percent, at=entry.at)
    move = _adopt(plan, after, entry.percent, entry)
    return replace(move, entries=move.state.history[len(state.history) :])


def _adopt(plan: Plan, state: State, percent: int, entry: Entry) -> Move:
    """Take a share as the rollout's own from now on, without setting it."""
    before = None
    if percent == _ALL:
        # No control is left: what was just before takes its place.
        left = _span_before(plan, state.phase_since, entry.at)
        before = state.before if state.percent == _ALL else left
    after = replace(
        state,
        phase=phase_of(plan, percent),
        percent=percent,
        phase_since=entry.at,
        before=before,
    )
    return _note(after, entry)


def _span_before(plan: Plan, since: float, at: float) -> Span:
    """Return what a phase of all merchants is compared with: the phase before, which began `since`.

    It is no shorter than the new phase's least time: else there would never be enough to compare
    with after a phase that hardly was, or without one before.
    """
    return Span(min(since, at - plan.phases[phase_of(plan, _ALL)].at_least), at)


def _note(state: State, entry: Entry) -> Move:
    return Move(replace(state, history=(*state.history, entry)), None, (entry,))
