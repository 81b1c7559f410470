"""What a person does to a rollout."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from flags.rollout import phases
from flags.rollout.moving import carry_out
from flags.rollout.noticing import Notice, notice
from flags.rollout.phases import Move, MoveRefused
from flags.rollout.plan import Plan
from flags.rollout.ports import (
    FlagChanged,
    FlagSwitch,
    FlagUnusable,
    RolloutStore,
    StateChanged,
)
from flags.rollout.state import Entry, Look, State, Status
from flags.rollout.verdict import Outcome

_TRIES: Final = 5
"""How often an action is tried while the controller saves its looks in between."""


class Action(enum.StrEnum):
    """What a person may do, beside a roll back."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    ADVANCE = "advance"
    BLOCK = "block"
    UNBLOCK = "unblock"


_UNSEEING: Final = {
    Action.PAUSE: phases.pause,
    Action.BLOCK: phases.block,
    Action.UNBLOCK: phases.unblock,
}
"""What works without Unleash; the others depend on the share that the flag has now."""
_MOVES: Final = (Action.START, Action.ADVANCE)
"""What sets a share."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, by whom and why."""

    action: Action
    actor: str
    reason: str
    known_kinds: Iterable[str] = ()
    """For `start`: the kinds of unexpected errors that there are without the feature."""


@dataclass(frozen=True, slots=True)
class Step:
    """What an action changes."""

    before: State | None
    after: State
    entry: Entry
    """What is added to the history, and to the audit log."""
    found: int | None
    """The share before; None: the action doesn't look at it."""
    percent: int | None
    """The share that is set; None: it is left alone."""


async def steer(
    plan: Plan, wish: Wish, *, switch: FlagSwitch, store: RolloutStore, at: float, dry_run: bool
) -> Step:
    """Do what is asked for, and return what that changes; for a dry run, only the latter.

    Raises:
        MoveRefused: It cannot be done now; nothing was changed.
        FlagUnusable: The flag is not one to move.
        FlagChanged: A person was faster; the controller stands back when it sees that.
        SwitchUnreachable, StoreUnreachable: What was begun is done by the controller.
    """
    step = None
    for _ in range(_TRIES):
        saved = await store.load(plan.flag)
        if step is not None and saved is not None and step.entry in saved.state.history:
            # It was saved, and then the controller was faster to say that the flag is moved.
            return step
        before = saved.state if saved else None
        seen = await _look_at(switch, plan.flag, wish.action, before)
        move = _decide(plan, wish, before, seen, at)
        found = None if seen is None else seen.share.percent
        step = Step(before, move.state, move.entry, found, move.percent)
        if dry_run:
            return step
        version = saved.version if saved else None
        try:
            if found is None:
                await store.save(move.state, version=version, entries=move.entries)
            else:
                await carry_out(move, found=found, version=version, store=store, switch=switch)
        except StateChanged:
            continue
        except FlagChanged:
            if (await switch.read(plan.flag)).percent != move.percent:
                raise
            # The controller has seen what was saved, and was faster to do it.
        return step
    raise MoveRefused("The state changes all the time: is there more than one controller?")


def overridden(plan: Plan, state: State, look: Look | None, at: float) -> str | None:
    """Return what an `advance` overrides, for the record; None: nothing."""
    told = []
    if look is None or look.verdict is None:
        told.append("a metric cannot be read" if look else "nothing was looked at yet")
    elif look.verdict.outcome is not Outcome.PASS:
        open_ones = ", ".join(
            f"{finding.criterion} {finding.outcome}"
            for finding in look.verdict.findings
            if finding.outcome in (Outcome.FAIL, Outcome.HOLD)
        )
        told.append(f"the verdict is {look.verdict.outcome}: {open_ones}")
    if phases.time_left(plan, state, at):
        told.append("the phase's least time is not over")
    return "; ".join(told) or None


async def _look_at(
    switch: FlagSwitch, flag: str, action: Action, before: State | None
) -> Notice | None:
    """Return how the flag stands now; None: the action doesn't depend on it."""
    if action in _UNSEEING:
        return None
    seen = await notice(switch, flag, before)
    if action in _MOVES and not seen.share.enabled:
        raise FlagUnusable(f"{flag} is off in Unleash: switch it on, at a share of 0 %, first.")
    return seen


def _decide(plan: Plan, wish: Wish, before: State | None, seen: Notice | None, at: float) -> Move:
    actor, reason = wish.actor, wish.reason
    if before is None and wish.action is not Action.START:
        raise MoveRefused("The rollout was never started.")
    if seen is None:
        assert before is not None  # noqa: S101 - for mypy: only `start` takes none, and it reads.
        return _UNSEEING[wish.action](plan, before, at=at, actor=actor, reason=reason)
    found, revision = seen.share.percent, seen.revision
    if before is None or wish.action is Action.START:
        return phases.start(
            plan,
            before,
            found=found,
            at=at,
            actor=actor,
            reason=reason,
            known_kinds=wish.known_kinds,
            revision=revision,
        )
    if wish.action is Action.RESUME:
        if before.status is Status.RUNNING and (found != before.percent or seen.others):
            # The controller hasn't seen yet what the person has done.
            before = replace(before, status=Status.PAUSED)
        return phases.resume(
            plan, before, found=found, at=at, actor=actor, reason=reason, revision=revision
        )
    if before.moving_from is not None:
        raise MoveRefused(f"The controller is about to set {before.percent} %; wait for that.")
    if found != before.percent:
        raise MoveRefused(
            f"The flag lets in {found} % instead of {before.percent} %: a person changed it. "
            "`resume` goes on from there."
        )
    if seen.others:
        raise MoveRefused(f"A person changed the flag: {seen.told}. `resume` goes on from there.")
    before = replace(before, revision=revision)
    return phases.advance(plan, before, at=at, actor=actor, reason=reason)
