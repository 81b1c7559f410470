"""The controller: with the real phases and verdicts, on ports in memory."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from flags.rollout import phases
from flags.rollout.controller import Controller
from flags.rollout.evidence import Calls, EvidenceMissing
from flags.rollout.moving import carry_out
from flags.rollout.ports import FlagUnusable, StoreUnreachable, SwitchUnreachable
from flags.rollout.state import State, Status
from flags.rollout.troubles import RolloutHolds
from flags.rollout.verdict import Outcome
from server.metrics import Readings
from server.metrics.rollouts import show_rollouts
from tests.support.rollout_ports import (
    FLAG,
    PLAN,
    Died,
    MemoryEvidence,
    MemoryRollouts,
    MemorySwitch,
    Mortal,
    bad,
    good,
    nothing,
)

HOUR: Final = 3600.0
QUICK: Final = replace(PLAN, look_every=0.02, breaker=replace(PLAN.breaker, look_every=0.01))


class World:
    """A flag, the state of its rollout, and the clock that all share."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.store = MemoryRollouts(lambda: self.now)
        self.switch = MemorySwitch()
        self.evidence = MemoryEvidence()
        self.reported: list[Exception] = []

    def controller(self, holder: str = "a", **parts: Any) -> Controller:
        usual: dict[str, Any] = {
            "switch": self.switch,
            "evidence": self.evidence,
            "store": self.store,
        }
        return Controller(
            PLAN,
            holder=holder,
            report=lambda error, flag: self.reported.append(error),
            clock=lambda: self.now,
            **usual | parts,
        )

    async def state(self) -> State:
        saved = await self.store.load(FLAG)
        assert saved
        return saved.state

    async def act(self, action: Callable[..., phases.Move], **given: Any) -> None:
        """Do what a person does by a command."""
        saved = await self.store.load(FLAG)
        move = action(
            PLAN,
            saved.state if saved else None,
            at=self.now,
            actor="anna",
            reason="a test",
            **given,
        )
        await carry_out(
            move,
            found=self.switch.percent,
            version=saved.version if saved else None,
            store=self.store,
            switch=self.switch,
        )

    async def start(self) -> None:
        await self.act(phases.start, found=self.switch.percent, known_kinds=())

    async def actions(self) -> list[str]:
        return [entry.action for entry in (await self.state()).history]


@pytest.fixture
def world() -> World:
    """Return a flag that nobody has, and whose rollout was never started."""
    return World()


async def test_nothing_is_done_before_the_start(world: World) -> None:
    """A rollout that nobody started is left alone, and its flag."""
    controller = world.controller()
    world.switch.percent = 30
    world.evidence.evidence = good()
    await controller.look()
    await controller.watch_burn()

    assert await world.store.load(FLAG) is None
    assert (controller.percent, controller.phase, controller.status) == (0, 0, "")
    assert (world.switch.moves, world.reported) == ([], [])


async def test_a_good_feature_reaches_everybody(world: World) -> None:
    """Phase by phase, each after its least time, then it is completed."""
    await world.start()
    world.evidence.evidence = good()
    controller = world.controller()
    shares = []
    for _ in range(6):
        world.now += 24 * HOUR
        await controller.look()
        shares.append(world.switch.percent)

    assert shares == [10, 50, 100, 100, 100, 100]
    assert await world.actions() == ["start", "promote", "promote", "complete"]
    assert [entry.action for _, entry in world.store.records] == await world.actions()
    assert (controller.status, controller.phase, controller.outcome) == ("completed", 3, "PASS")
    assert controller.actions["promote"] == 2
    assert world.reported == []


async def test_a_bad_feature_goes_back(world: World) -> None:
    """A criterion that is broken brings back the last good phase, and the end."""
    await world.start()
    world.evidence.evidence = good()
    world.now += 48 * HOUR
    controller = world.controller()
    await controller.look()
    world.evidence.evidence = bad()
    world.now += 60
    await controller.look()
    await controller.look()

    state = await world.state()
    assert (world.switch.percent, state.status) == (10, Status.STOPPED)
    assert world.switch.moves == [10, 50, 10]
    assert "error rate" in state.history[-1].reason


async def test_too_little_is_told_after_the_least_time(world: World) -> None:
    """Without enough calls nothing moves; that is told once the phase could be over."""
    await world.start()
    controller = world.controller()
    await controller.look()
    assert (controller.outcome, controller.holds_since) == (Outcome.HOLD, 0)

    world.now += 48 * HOUR
    due = world.now
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await controller.look()
            world.now += 60
    told = [(each["event"], each["log_level"]) for each in logs if each.get("what") == "judging"]
    assert told == [("the rollout holds", "warning")]
    assert controller.holds_since == due
    assert [type(error) for error in world.reported] == [RolloutHolds]

    world.evidence.evidence = good()
    await controller.look()
    assert (controller.holds_since, world.switch.percent) == (0, 50)


async def test_a_metric_that_cannot_be_read_holds(world: World) -> None:
    """It is told at once and once, with what was asked; afterwards the rollout goes on."""
    await world.start()
    controller = world.controller()
    world.evidence.problem = "Prometheus does not answer"
    await controller.look()
    await controller.look()

    look = (await world.state()).look
    assert look is not None
    assert (look.verdict, look.problem) == (None, "Prometheus does not answer")
    assert look.readings[0].query == "the query"
    assert (controller.outcome, controller.holds_since) == (Outcome.HOLD, world.now)
    assert [type(error) for error in world.reported] == [EvidenceMissing]

    world.evidence.problem = None
    await controller.look()
    assert controller.holds_since == 0


async def test_a_block_holds_until_it_is_lifted(world: World) -> None:
    """A blocked rollout neither goes on nor back, and nobody is called for it."""
    await world.start()
    await world.act(phases.block)
    controller = world.controller()
    world.now += 48 * HOUR
    for evidence in (good(), bad(), nothing()):
        world.evidence.evidence = evidence
        await controller.look()
    assert (world.switch.percent, controller.holds_since) == (10, 0)

    await world.act(phases.unblock)
    world.evidence.evidence = good()
    await controller.look()
    assert world.switch.percent == 50


async def test_the_breaker_goes_back_at_once(world: World) -> None:
    """A budget that burns goes before everything, even a block, and looks not before the phase."""
    await world.start()
    await world.act(phases.block)
    world.now += 120
    world.evidence.burnt = Calls(1_000, 100, 0, {})
    controller = world.controller()
    await controller.watch_burn()

    assert world.switch.percent == 0
    assert await world.actions() == ["start", "block", "break"]
    assert {span.seconds for span in world.evidence.spans} == {120}
    reason = (await world.state()).history[-1].reason
    assert "100 of 1,000 calls in 300 s" in reason


async def test_gaps_in_the_evidence_hold(world: World) -> None:
    """What was counted may be all good, and more than that have happened: it is told, and holds."""
    await world.start()
    world.evidence.evidence = replace(good(), gaps=("Prometheus does not reach b:1.",))
    world.now += 48 * HOUR
    controller = world.controller()
    await controller.look()
    assert (world.switch.percent, controller.outcome) == (10, Outcome.HOLD)
    assert [type(error) for error in world.reported] == [RolloutHolds]
    assert "Prometheus does not reach b:1." in str(world.reported[0])

    world.evidence.evidence = good()
    await controller.look()
    assert (world.switch.percent, controller.holds_since) == (50, 0)


async def test_what_was_counted_in_spite_of_gaps_fails(world: World) -> None:
    """Errors that were counted are errors, whatever else happened."""
    await world.start()
    world.evidence.evidence = replace(bad(), gaps=("Prometheus does not reach b:1.",))
    await world.controller().look()
    state = await world.state()
    assert (world.switch.percent, state.status) == (0, Status.STOPPED)
    assert "gaps" not in state.history[-1].reason


async def test_a_breaker_that_watches_nobody_says_so(world: World) -> None:
    """No errors of servers that nobody watches are no good sign; errors are a bad one always."""
    await world.start()
    controller = world.controller()
    await controller.watch_burn()
    seen = world.now
    world.now += 30
    world.evidence.unwatched = "Prometheus reaches none of the servers"
    await controller.watch_burn()
    assert [str(error) for error in world.reported] == [world.evidence.unwatched]
    assert (controller.holds_since, controller.last_burn_look) == (world.now, seen)

    world.evidence.burnt = Calls(1_000, 100, 0, {})
    await controller.watch_burn()
    assert (world.switch.percent, await world.actions()) == (0, ["start", "break"])


async def test_a_person_who_changes_the_flag_wins(world: World) -> None:
    """The controller says who did it, and changes nothing until it is told to go on."""
    await world.start()
    world.switch.edit("bob updated the strategy", percent=25)
    world.evidence.evidence = good()
    controller = world.controller()
    for _ in range(3):
        world.now += 48 * HOUR
        await controller.look()
        await controller.watch_burn()

    state = await world.state()
    assert (world.switch.percent, state.status) == (25, Status.PAUSED)
    assert await world.actions() == ["start", "stand back"]
    assert "bob updated the strategy" in (state.paused or "")
    assert state.look is not None
    assert state.look.at == world.now

    await world.act(phases.resume, found=25)
    await controller.look()
    assert world.switch.percent == 25
    world.now += 48 * HOUR
    await controller.look()
    assert world.switch.percent == 50


@pytest.mark.parametrize("step", ["look", "watch_burn"])
async def test_a_change_that_leaves_the_share_alone_is_seen(world: World, step: str) -> None:
    """A constraint, or a share that is what it was again, is a person's change; noted once."""
    await world.start()
    controller = world.controller()
    await controller.look()
    world.switch.edit("bob set 30 %", percent=30)
    world.switch.edit("bob set 10 %", percent=10)
    world.switch.edit("bob added a constraint")
    world.now += 48 * HOUR
    world.evidence.evidence = good()
    for _ in range(3):
        await getattr(controller, step)()

    state = await world.state()
    assert (state.status, world.switch.percent) == (Status.PAUSED, 10)
    assert await world.actions() == ["start", "stand back"]
    assert (state.paused or "").endswith("bob set 30 %; bob set 10 %; bob added a constraint")

    await world.act(phases.resume, found=10, revision=4)
    world.now += 48 * HOUR
    await world.controller().look()
    assert await world.actions() == ["start", "stand back", "resume", "promote"]


async def test_a_flag_that_could_not_be_moved_for_a_while_was_changed(world: World) -> None:
    """A second strategy holds the rollout; once it is gone again, the controller stands back."""
    await world.start()
    controller = world.controller()
    await controller.look()
    world.switch.edit("bob added a strategy")

    async def fail(*given: Any, **named: Any) -> Any:
        raise FlagUnusable("two strategies")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.switch, "read", fail)
        await controller.look()
    world.switch.edit("bob removed a strategy")
    await controller.look()

    assert [type(error) for error in world.reported] == [FlagUnusable]
    assert await world.actions() == ["start", "stand back"]


async def test_what_unleash_does_not_tell_is_no_change(world: World) -> None:
    """Where its history is gone, only the share tells that a person changed the flag."""
    await world.start()
    world.switch.history.clear()
    world.evidence.evidence = good()
    controller = world.controller()
    world.now += 48 * HOUR
    await controller.look()
    assert world.switch.percent == 50

    world.switch.percent = 30
    await controller.look()
    assert await world.actions() == ["start", "promote", "stand back"]


async def test_what_is_over_is_not_guarded(world: World) -> None:
    """After a roll back only another share is noted; a roll back that is due is made."""
    await world.start()
    world.evidence.evidence = bad()

    async def fail(*given: Any, **named: Any) -> Any:
        raise SwitchUnreachable("no answer")

    controller = world.controller()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.switch, "move", fail)
        await controller.look()
    world.switch.edit("bob added a constraint")
    await controller.look()
    world.switch.edit("bob added another")
    await controller.look()

    assert world.switch.percent == 0
    assert await world.actions() == ["start", "roll back"]


@pytest.mark.parametrize("step", ["look", "watch_burn"])
async def test_the_person_wins_though_both_act_at_once(world: World, step: str) -> None:
    """A change between the look at the flag and its move is not overwritten."""
    await world.start()
    world.now += 48 * HOUR
    world.evidence.evidence = good()
    world.evidence.burnt = Calls(1_000, 100, 0, {})

    class Raced(MemorySwitch):
        async def move(self, flag: str, *, expected: int, percent: int) -> None:
            world.switch.percent = 30
            await world.switch.move(flag, expected=expected, percent=percent)

        async def read(self, flag: str) -> Any:
            return await world.switch.read(flag)

    await getattr(world.controller(switch=Raced()), step)()
    await world.controller().look()

    assert world.switch.percent == 30
    assert (await world.state()).status is not Status.RUNNING
    assert (await world.actions())[-2:] == ["overtaken", "stand back"]
    assert [entry for _, entry in world.store.records] == list((await world.state()).history)


@pytest.mark.parametrize(
    "error",
    [
        SwitchUnreachable("no answer"),
        FlagUnusable("two strategies"),
        StoreUnreachable("no database"),
        ZeroDivisionError("a mistake"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_gone_holds_and_comes_back(world: World, error: Exception) -> None:
    """Unleash, the database or sense may be gone: nothing moves, it is told once, and goes on."""
    await world.start()
    world.evidence.evidence = good()
    world.now += 48 * HOUR

    async def fail(*given: Any, **named: Any) -> Any:
        raise error

    controller = world.controller()
    whole = world.store if isinstance(error, StoreUnreachable) else world.switch
    name = "load" if isinstance(error, StoreUnreachable) else "read"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, name, fail)
        await controller.look()
        await controller.look()
    assert (world.switch.percent, world.reported) == (10, [error])
    assert controller.holds_since == world.now

    await controller.look()
    assert (world.switch.percent, controller.holds_since) == (50, 0)


async def test_a_move_that_unleash_did_not_take_is_made_later(world: World) -> None:
    """A rollback is repeated until it is done, and its phase counts from then on."""
    await world.start()
    world.now += 60
    world.evidence.evidence = bad()
    controller = world.controller()

    async def fail(*given: Any, **named: Any) -> Any:
        raise SwitchUnreachable("no answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.switch, "move", fail)
        await controller.look()
    state = await world.state()
    assert (world.switch.percent, state.status, state.moving_from) == (10, Status.STOPPED, 10)
    assert [type(error) for error in world.reported] == [SwitchUnreachable]

    world.now += 900
    await controller.watch_burn()
    state = await world.state()
    assert (world.switch.percent, state.moving_from, state.phase_since) == (0, None, world.now)


async def test_a_second_controller_stands_by(world: World) -> None:
    """It shows the rollout and takes over when the first one's lease is over, or given back."""
    await world.start()
    world.evidence.evidence = good()
    world.now += 48 * HOUR
    first, second = world.controller("a"), world.controller("b")
    await first.watch_burn()
    await second.look()
    assert (second.percent, second.last_look, world.switch.percent) == (10, 0, 10)

    world.now += 10 * PLAN.breaker.look_every
    await second.look()
    assert world.switch.percent == 50
    await first.look()
    assert world.switch.moves == [10, 50]


async def test_it_runs_until_it_is_told_to_stop(world: World) -> None:
    """Both clocks go on by themselves, and the lease is given back."""
    await world.start()
    world.evidence.evidence = good()
    controller = Controller(
        QUICK,
        switch=world.switch,
        evidence=world.evidence,
        store=world.store,
        holder="a",
        report=lambda error, flag: None,
        clock=lambda: world.now,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(controller.run(stop))
    while world.switch.percent < 100:
        world.now += 48 * HOUR
        await asyncio.sleep(0.01)
    stop.set()
    await running
    assert await world.store.take_lease(FLAG, "b", 1)


async def test_what_it_shows(world: World) -> None:
    """Every state, outcome and action has a series before it rises, and none before it is known."""
    registry = CollectorRegistry()
    controller = world.controller()
    show_rollouts(Readings(registry), {FLAG: controller})
    assert _samples(registry) == {"patron_rollout_hold_since_timestamp_seconds": 0}

    await controller.look()
    before = _samples(registry)
    assert set(before.values()) == {0}
    assert len(before) == 3 + len(Status) + 3 + 12

    await world.start()
    world.evidence.evidence = good()
    world.now += 48 * HOUR
    await controller.watch_burn()
    await controller.look()
    after = _samples(registry)
    assert after.keys() - before.keys() == {
        "patron_rollout_last_look_timestamp_seconds",
        "patron_rollout_last_burn_look_timestamp_seconds",
    }
    assert before.keys() <= after.keys()
    assert {name: value for name, value in after.items() if value} == {
        "patron_rollout_percent": 50,
        "patron_rollout_phase": 2,
        "patron_rollout_status running": 1,
        "patron_rollout_verdict PASS": 1,
        "patron_rollout_actions_total start": 1,
        "patron_rollout_actions_total promote": 1,
        "patron_rollout_last_look_timestamp_seconds": world.now,
        "patron_rollout_last_burn_look_timestamp_seconds": world.now,
    }


async def test_what_it_shows_after_a_restart(world: World) -> None:
    """What was done before it began is no news: its counters begin where they were."""
    await world.start()
    world.evidence.evidence = bad()
    await world.controller().look()
    registry = CollectorRegistry()
    heir = world.controller()
    show_rollouts(Readings(registry), {FLAG: heir})

    async def fail(flag: str) -> None:
        raise StoreUnreachable("no database")

    rolled_back = "patron_rollout_actions_total roll back"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "load", fail)
        await heir.look()
        assert rolled_back not in _samples(registry)
    await heir.look()
    assert _samples(registry)[rolled_back] == 1


def _samples(registry: CollectorRegistry) -> dict[str, float]:
    """Return every sample by its name and its labels beside the flag."""
    return {
        " ".join([each.name, *(v for k, v in each.labels.items() if k != "flag")]): each.value
        for family in registry.collect()
        for each in family.samples
    }


def _settled(world: World, state: State) -> bool:
    return state.moving_from is None and state.percent == world.switch.percent


@given(
    evidence=st.lists(st.sampled_from([good, bad, nothing]), min_size=1, max_size=5),
    dies_at=st.integers(1, 20),
    after=st.booleans(),
    by_breaker=st.booleans(),
)
async def test_whoever_dies_leaves_what_the_next_one_mends(
    *, evidence: list[Callable[[], Any]], dies_at: int, after: bool, by_breaker: bool
) -> None:
    """A controller may die before or after any call: the next one ends the move, and no other."""
    world = World()
    await world.start()
    mortal = Mortal(world.store, world.switch, dies_at=dies_at, after=after)
    doomed = world.controller("a", store=mortal.store, switch=mortal.switch)
    try:
        for made in evidence:
            world.now += 48 * HOUR
            world.evidence.evidence = made()
            await doomed.look()
    except Died:
        # Before the next one looks at the criteria, it mends what it finds.
        world.now += HOUR
    saved = (await world.state()).history
    world.evidence.evidence, world.evidence.burnt = nothing(), Calls(0, 0, 0, {})
    heir = world.controller("b")
    await (heir.watch_burn if by_breaker else heir.look)()

    state = await world.state()
    assert _settled(world, state)
    assert state.history == saved
    assert "stand back" not in await world.actions()
    assert [entry for _, entry in world.store.records] == list(saved)
    assert world.switch.percent == saved[-1].percent
    # Each move was made once.
    assert len(world.switch.moves) == sum(entry.action != "complete" for entry in saved)


@given(rounds=st.lists(st.sampled_from([good, bad, nothing]), min_size=1, max_size=5))
async def test_two_controllers_at_once_do_no_harm(rounds: list[Callable[[], Any]]) -> None:
    """Even when each believes to be alone, every move is made once and nobody stands back."""

    class Careless(MemoryRollouts):
        async def take_lease(self, flag: str, holder: str, seconds: float) -> bool:
            return True

    world = World()
    world.store = Careless(lambda: world.now)
    await world.start()
    both = []
    for holder in "ab":
        ports = Mortal(world.store, world.switch, dies_at=None, after=False)
        both.append(world.controller(holder, store=ports.store, switch=ports.switch))
    for evidence in rounds:
        world.now += 48 * HOUR
        world.evidence.evidence = evidence()
        before = len((await world.state()).history)
        await asyncio.gather(*(each.look() for each in both), both[0].watch_burn())
        await both[1].watch_burn()
        state = await world.state()
        assert _settled(world, state)
        assert len(state.history) <= before + 1
    assert "stand back" not in await world.actions()
    assert world.reported == [] or {type(error) for error in world.reported} == {RolloutHolds}
