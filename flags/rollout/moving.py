"""Carrying out a move: in the store and in Unleash, which no transaction spans.

The state is saved first, with the share that the flag still has; then the flag is moved, if it
still has that share; then it is saved that it was. Whoever dies in between leaves a state by which
the next controller sees what is left to do.
"""

from dataclasses import replace

from flags.rollout.phases import Move
from flags.rollout.ports import FlagSwitch, RolloutStore, Saved


async def carry_out(
    move: Move, *, found: int, version: int | None, store: RolloutStore, switch: FlagSwitch
) -> Saved:
    """Save a move, and set the share that it is about, if any. Returns what was saved last.

    Args:
        move: What is to become of the rollout.
        found: The share that the flag has in Unleash.
        version: The version of the state before; None: there was none.
        store: Where the state is.
        switch: Where the flag is.

    Raises:
        StateChanged: Somebody else saved the state meanwhile; nothing was changed.
        FlagChanged: Somebody else changed the flag meanwhile; the state tells that a move is due.
        FlagUnusable: As `FlagChanged`: the flag is not one that can be moved.
        SwitchUnreachable: As `FlagChanged`: Unleash cannot be asked.
        StoreUnreachable: The state cannot be saved; if the flag was moved, the state tells so.
    """
    state = move.state
    if state.percent == found:
        state = replace(state, moving_from=None)
    elif move.percent is not None:
        state = replace(state, moving_from=found)
    saved = Saved(state, await store.save(state, version=version, entries=move.entries))
    if move.percent is None or state.moving_from is None:
        return saved
    return await finish(saved, since=state.phase_since, store=store, switch=switch)


async def finish(saved: Saved, *, since: float, store: RolloutStore, switch: FlagSwitch) -> Saved:
    """Set the share of a move that was saved, and save that it is set; raises as `carry_out`.

    The phase counts from `since` on, in seconds since the epoch.
    """
    state = saved.state
    if state.moving_from is not None:
        await switch.move(state.flag, expected=state.moving_from, percent=state.percent)
    return await confirm(saved, since=since, store=store)


async def confirm(saved: Saved, *, since: float, store: RolloutStore) -> Saved:
    """Save that the share of a move is set, and since when; raises as `carry_out`."""
    state = replace(saved.state, moving_from=None, phase_since=since)
    return Saved(state, await store.save(state, version=saved.version, entries=()))
