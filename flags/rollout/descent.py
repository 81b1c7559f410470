"""Rolling back by hand: the flag first, and the record as soon as there is somebody to keep it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from flags.rollout import phases
from flags.rollout.phases import CONTROLLER
from flags.rollout.plan import Plan
from flags.rollout.ports import (
    FlagChanged,
    FlagSwitch,
    RolloutStore,
    Saved,
    StateChanged,
    StoreUnreachable,
    SwitchUnreachable,
)
from flags.rollout.spool import Owed, Spool
from flags.rollout.state import Entry, State

_TRIES: Final = 5
_OVERTAKES: Final = ("start", "resume", "advance", "roll back")
"""What a person does knowing how the flag stands."""


@dataclass(frozen=True, slots=True)
class Descent:
    """How far down the flag went."""

    found: int
    """The share before."""
    percent: int
    """The share from then on."""


def descend(plan: Plan, found: int, to: int | None) -> Descent:
    """Return how far a share goes down: to the one asked for, or the last good phase's.

    What was good is not asked of the history, which may be out of reach: it is the phase before the
    last one whose share is reached. A share that is lower already stays: whoever rolls back wants
    down.
    """
    if to is None:
        good = phases.phase_of(plan, found) - 1
        to = plan.phases[good].percent if good >= 0 else 0
    return Descent(found, min(found, to))


async def lower(switch: FlagSwitch, flag: str, descent: Descent) -> Descent:
    """Set the flag's share, and return from where to where it went.

    Raises:
        FlagChanged: Others keep on changing it.
        FlagUnusable: The flag is not one to move.
        SwitchUnreachable: It is not known what was changed.
    """
    found, percent = descent.found, descent.percent
    for _ in range(_TRIES):
        if found <= percent:
            return Descent(descent.found, found)
        try:
            await switch.move(flag, expected=found, percent=percent)
        except (FlagChanged, SwitchUnreachable):
            # Whoever rolls back wants down: wherever the flag is by now, it goes on from there.
            found = (await switch.read(flag)).percent
        else:
            return Descent(found, percent)
    raise FlagChanged(f"The share of {flag} changes all the time.")


def owe(flag: str, descent: Descent, *, at: float, actor: str, reason: str) -> Owed:
    """Return what is to be recorded of a roll back."""
    entry = Entry(at, "roll back", actor, descent.percent, reason)
    return Owed(uuid.uuid4().hex, flag, descent.found, entry)


def settled(plan: Plan, before: State, owed: Owed) -> State:
    """Return what becomes of a rollout by a roll back that has moved its flag already.

    It is stopped, whatever the controller has made of the changed flag meanwhile.
    """
    entry = owed.entry
    rest = phases.without_move(before, found=owed.found, at=entry.at)
    # What was done to the flag last is not known; nor need it be: what is stopped is not guarded.
    found = replace(rest, percent=owed.found, revision=0)
    return phases.roll_back(
        plan,
        found,
        to=entry.percent,
        at=entry.at,
        actor=entry.actor,
        reason=entry.reason,
    ).state


async def settle(plan: Plan, store: RolloutStore, owed: Owed) -> None:
    """Record a roll back; once, however often it is called.

    Raises:
        StoreUnreachable: The store is out of reach, or never at rest.
    """
    for _ in range(_TRIES):
        saved = await store.load(owed.flag)
        if saved is None or _is_overtaken(saved, owed.entry):
            await store.record(owed.flag, (owed.entry,))
            return
        if owed.entry in saved.state.history:
            return
        after = settled(plan, saved.state, owed)
        entries = after.history[len(saved.state.history) :]
        try:
            await store.save(after, version=saved.version, entries=entries)
        except StateChanged:
            continue
        return
    raise StoreUnreachable("the state changes all the time")


async def flush_spool(spool: Spool, store: RolloutStore, plans: Mapping[str, Plan]) -> list[Owed]:
    """Record what waits in the spool, the oldest first; return what was recorded.

    To be called before anything else is done about a rollout. What belongs to a flag without a
    plan stays.

    Raises:
        StoreUnreachable: The store is out of reach; the rest stays.
        OSError: The spool cannot be used.
    """
    done = []
    for owed in spool.read():
        if owed.flag in plans:
            await settle(plans[owed.flag], store, owed)
            spool.remove([owed.id])
            done.append(owed)
    return done


def _is_overtaken(saved: Saved, entry: Entry) -> bool:
    """Return whether a person has moved the rollout since, or let it go on."""
    return any(
        each.at > entry.at and each.actor != CONTROLLER and each.action in _OVERTAKES
        for each in saved.state.history
    )
