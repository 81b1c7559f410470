"""What persons do to a rollout, while others do something else."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flags.rollout import phases
from flags.rollout.controller import Controller
from flags.rollout.descent import Descent, descend, flush_spool, lower, owe, settle
from flags.rollout.phases import MoveRefused
from flags.rollout.ports import FlagChanged, SwitchUnreachable
from flags.rollout.spool import Spool
from flags.rollout.state import State, Status
from flags.rollout.steering import Action, Wish, steer
from tests.support.rollout_ports import (
    FLAG,
    PLAN,
    MemoryEvidence,
    MemoryRollouts,
    MemorySwitch,
    bad,
    good,
    nothing,
)

START = 1_800_000_000.0
DAY = 86400.0


class World:
    """A rollout, its flag, and a controller that looks when it is told to."""

    def __init__(self) -> None:
        self.now = START
        self.store = MemoryRollouts(lambda: self.now)
        self.switch = MemorySwitch()
        self.evidence = MemoryEvidence()
        self.controller = Controller(
            PLAN,
            switch=self.switch,
            evidence=self.evidence,
            store=self.store,
            holder="controller 1",
            report=lambda error, flag: None,
            clock=lambda: self.now,
        )

    async def do(self, action: Action, *, store: Any = None, switch: Any = None) -> None:
        """Do what a person asks for."""
        await steer(
            PLAN,
            Wish(action, "ann", "so"),
            switch=switch or self.switch,
            store=store or self.store,
            at=self.now,
            dry_run=False,
        )

    async def at_half(self) -> None:
        """Bring it to the phase of 50 %, whose least time is over."""
        await self.do(Action.START)
        await self.do(Action.ADVANCE)
        self.now += 30 * DAY

    async def state(self) -> State:
        saved = await self.store.load(FLAG)
        assert saved is not None
        return saved.state


class Interrupted:
    """A port at one of whose calls something else happens before."""

    def __init__(self, world: World, *, at: int, what: Callable[[], Awaitable[object]]) -> None:
        self.made = 0
        self._at = at
        self._what = what
        self.store: Any = _Port(world.store, self._call)
        self.switch: Any = _Port(world.switch, self._call)

    async def _call(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self.made += 1
        if self.made == self._at:
            await self._what()
        return await call()


class _Port:
    def __init__(self, port: Any, call: Callable[..., Any]) -> None:
        self._port = port
        self._call = call

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return lambda *given, **named: self._call(lambda: method(*given, **named))


@pytest.mark.parametrize("evidence", [good(), bad(), nothing()])
@pytest.mark.parametrize("at", range(1, 7))
async def test_a_roll_back_wins_over_the_controller(evidence: Any, at: int) -> None:
    """Whenever the controller looks, the flag ends as low as was asked for, and stopped."""
    world = World()
    await world.at_half()
    world.evidence.evidence = evidence
    ports = Interrupted(world, at=at, what=world.controller.look)
    found = (await ports.switch.read(FLAG)).percent
    descent = await lower(ports.switch, FLAG, descend(PLAN, found, None))
    await settle(PLAN, ports.store, owe(FLAG, descent, at=world.now, actor="eve", reason="it"))
    await world.controller.look()
    state = await world.state()
    assert state.status is Status.STOPPED
    assert world.switch.percent == state.percent == descent.percent < descent.found
    assert [entry.actor for entry in state.history if entry.action == "roll back"][-1] == "eve"


@pytest.mark.parametrize("action", [Action.ADVANCE, Action.BLOCK, Action.PAUSE])
@pytest.mark.parametrize("at", range(1, 6))
async def test_an_action_is_done_once(action: Action, at: int) -> None:
    """Whenever the controller looks, an action is in the history once, and done."""
    world = World()
    await world.do(Action.START)
    world.now += DAY
    ports = Interrupted(world, at=at, what=world.controller.look)
    await world.do(action, store=ports.store, switch=ports.switch)
    state = await world.state()
    assert [entry.action for entry in state.history] == ["start", action]
    assert world.switch.percent == state.percent == (50 if action is Action.ADVANCE else 10)
    await world.controller.look()
    assert (await world.state()).history == state.history


async def test_what_a_person_did_meanwhile_is_not_advanced_over() -> None:
    """A change that the controller hasn't seen is refused by `advance`, and taken by `resume`."""
    world = World()
    await world.do(Action.START)
    await world.do(Action.ADVANCE)
    world.switch.edit("bob added a constraint")
    with pytest.raises(MoveRefused, match=r"bob added a constraint\. `resume`"):
        await world.do(Action.ADVANCE)
    await world.do(Action.RESUME)
    await world.do(Action.ADVANCE)
    world.now += DAY
    await world.controller.look()
    state = await world.state()
    assert [entry.action for entry in state.history] == ["start", "advance", "resume", "advance"]
    assert (state.status, world.switch.percent) == (Status.RUNNING, 100)


async def test_a_start_takes_the_flag_as_it_is() -> None:
    """What was done to it before is accepted, and a roll back by hand is nobody's change."""
    world = World()
    world.switch.edit("bob made it")
    await world.at_half()
    await world.controller.look()
    descent = await lower(world.switch, FLAG, descend(PLAN, 50, None))
    await settle(PLAN, world.store, owe(FLAG, descent, at=world.now, actor="eve", reason="it"))
    await world.controller.look()
    await world.do(Action.START)
    await world.controller.look()
    assert [entry.action for entry in (await world.state()).history] == [
        *("start", "advance", "roll back", "start")
    ]


async def test_a_controller_too_many_is_told() -> None:
    """A state that changes at every try is not fought over."""
    world = World()
    await world.do(Action.START)

    class Restless(MemoryRollouts):
        async def save(self, state: State, **given: Any) -> int:
            await world.store.save(state, **given)
            return await world.store.save(state, **given)

        async def load(self, flag: str) -> Any:
            saved = await world.store.load(flag)
            assert saved is not None
            return replace(saved, version=saved.version - 1)

    with pytest.raises(MoveRefused, match="more than one controller"):
        await world.do(Action.PAUSE, store=Restless(lambda: 0.0))


@pytest.mark.parametrize(
    "found,to,percent",
    [
        *[(100, None, 50), (50, None, 10), (60, None, 10), (10, None, 0), (4, None, 0)],
        *[(0, None, 0), (50, 20, 20), (50, 0, 0), (5, 20, 5), (50, 100, 50)],
    ],
)
def test_down_is_never_up(found: int, to: int | None, percent: int) -> None:
    """It goes to the last good phase, or to the share asked for, and never further up."""
    assert descend(PLAN, found, to) == Descent(found, percent)


class Silent(MemorySwitch):
    """Moves, and then doesn't answer."""

    async def move(self, flag: str, *, expected: int, percent: int) -> None:
        await super().move(flag, expected=expected, percent=percent)
        raise SwitchUnreachable("no answer")


async def test_a_lost_answer_is_looked_after() -> None:
    """Where Unleash has moved the flag and not said so, that is seen."""
    switch = Silent(50)
    assert await lower(switch, FLAG, Descent(50, 10)) == Descent(50, 10)
    assert switch.moves == [10]


async def test_a_flag_that_others_keep_changing_is_told() -> None:
    """It isn't tried for ever."""

    class Busy(MemorySwitch):
        async def move(self, flag: str, *, expected: int, percent: int) -> None:
            raise FlagChanged("again")

    with pytest.raises(FlagChanged, match="all the time"):
        await lower(Busy(50), FLAG, Descent(50, 10))


async def test_what_a_person_did_since_is_not_undone(tmp_path: Path) -> None:
    """A roll back that is recorded late stops nothing that was started after it."""
    world, spool = World(), Spool(tmp_path)
    await world.at_half()
    owed = owe(FLAG, Descent(50, 0), at=world.now, actor="eve", reason="it")
    spool.append(owed)
    world.switch.percent = 0
    world.now += 60
    await world.controller.look()
    await world.do(Action.RESUME)
    assert await flush_spool(spool, world.store, {}) == []
    assert await flush_spool(spool, world.store, {FLAG: PLAN}) == [owed]
    assert spool.read() == []
    assert (await world.state()).status is Status.RUNNING
    assert (FLAG, owed.entry) in world.store.records


async def test_a_roll_back_overtakes_what_was_due() -> None:
    """A promotion that Unleash hasn't taken yet isn't recorded as one that was made."""
    world = World()
    await world.do(Action.START)
    saved = await world.store.load(FLAG)
    assert saved is not None
    due = phases.advance(PLAN, saved.state, at=world.now, actor="ann", reason="so")
    state = replace(due.state, moving_from=10)
    await world.store.save(state, version=saved.version, entries=due.entries)
    owed = owe(FLAG, Descent(10, 0), at=world.now + 1, actor="eve", reason="it")
    await settle(PLAN, world.store, owed)
    actions = ["start", "advance", "overtaken", "roll back"]
    assert [entry.action for entry in (await world.state()).history] == actions
    assert [entry.action for _, entry in world.store.records] == actions


async def test_a_roll_back_of_what_never_began_is_recorded() -> None:
    """There is no state to stop, but it was done."""
    world = World()
    owed = owe(FLAG, Descent(50, 0), at=world.now, actor="eve", reason="it")
    for _ in range(2):
        await settle(PLAN, world.store, owed)
    assert world.store.records == [(FLAG, owed.entry)]
    assert await world.store.load(FLAG) is None
