"""What a person does to a flag in a real Unleash is seen, also where its share is what it was."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from flags.rollout.controller import Controller
from flags.rollout.state import State, Status
from flags.rollout.steering import Action, Wish, steer
from tests.support.rollout_ports import (
    PLAN,
    Died,
    MemoryEvidence,
    MemoryRollouts,
    Mortal,
    good,
)
from tests.support.unleash import Unleash, switch_of

CONSTRAINT = {"contextName": "appVersion", "operator": "SEMVER_GT", "value": "2.0.0"}


class World:
    """A flag in Unleash, and its rollout."""

    def __init__(self, unleash: Unleash) -> None:
        self.flag = unleash.new_flag()
        self.plan = replace(PLAN, flag=self.flag)
        self.now = time.time()
        self.unleash = unleash
        self.switch = switch_of(unleash)
        self.store = MemoryRollouts(lambda: self.now)
        self.evidence = MemoryEvidence()

    def controller(self, **parts: Any) -> Controller:
        return Controller(
            self.plan,
            evidence=self.evidence,
            holder=str(uuid4()),
            report=lambda error, flag: None,
            clock=lambda: self.now,
            **{"switch": self.switch, "store": self.store, **parts},
        )

    async def do(self, action: Action) -> None:
        wish = Wish(action, "ann", "so")
        await steer(
            self.plan, wish, switch=self.switch, store=self.store, at=self.now, dry_run=False
        )

    async def state(self) -> State:
        saved = await self.store.load(self.flag)
        assert saved is not None
        return saved.state

    async def actions(self) -> list[str]:
        return [entry.action for entry in (await self.state()).history]


@pytest.fixture
async def world(unleash: Unleash) -> World:
    """Return a rollout that was just started, and whose phase passes once it has lasted."""
    world = World(unleash)
    await world.do(Action.START)
    world.evidence.evidence = good()
    return world


def add_a_constraint(person: Unleash, flag: str) -> None:
    """Let in those of newer apps alone."""
    person.replace(flag, {"/constraints": [CONSTRAINT]})


def set_a_share_and_back(person: Unleash, flag: str) -> None:
    """Let everybody in for a moment."""
    person.set_share(flag, 100)
    person.set_share(flag, 10)


def switch_off_and_on(person: Unleash, flag: str) -> None:
    """Let nobody in for a moment."""
    person.disable(flag)
    person.enable(flag)


def add_a_strategy_and_remove_it(person: Unleash, flag: str) -> None:
    """Let everybody in for a moment by other means."""
    person.remove_strategy(flag, person.add_strategy(flag, percent=100))


@pytest.mark.parametrize(
    "edit",
    [add_a_constraint, set_a_share_and_back, switch_off_and_on, add_a_strategy_and_remove_it],
)
async def test_a_change_that_leaves_the_share_alone(
    world: World, edit: Callable[[Unleash, str], None]
) -> None:
    """The controller stands back, says who it was, and goes on when it is told to."""
    controller = world.controller()
    await controller.watch_burn()
    edit(world.unleash.person(), world.flag)
    world.now += 30 * 86_400
    await controller.look()
    await controller.look()

    state = await world.state()
    assert (state.status, state.percent, world.unleash.share(world.flag)) == (
        Status.PAUSED,
        10,
        "10",
    )
    assert await world.actions() == ["start", "stand back"]
    assert "A person changed the flag" in str(state.paused)
    assert "admin, 20" in str(state.paused)

    await world.do(Action.RESUME)
    world.now += 30 * 86_400
    await controller.look()
    assert (await world.actions())[2:] == ["resume", "promote"]
    assert world.unleash.share(world.flag) == "50"


@pytest.mark.parametrize("dies_at", [6, 7])  # When it moves the flag, and when it saves that.
@pytest.mark.parametrize("after", [False, True])
async def test_what_a_dead_controller_did_is_no_change(
    world: World, dies_at: int, *, after: bool
) -> None:
    """Though it could not save that the flag was moved, that is known for the rollout's own."""
    ports = Mortal(world.store, world.switch, dies_at=dies_at, after=after)
    world.now += 30 * 86_400
    with suppress(Died):
        await world.controller(store=ports.store, switch=ports.switch).look()
    world.now += 3_600
    heir = world.controller()
    for _ in range(2):
        await heir.look()
    world.now += 30 * 86_400
    await heir.look()

    assert await world.actions() == ["start", "promote", "promote"]
    assert world.unleash.share(world.flag) == "100"
