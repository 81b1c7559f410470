"""What brings a rollout back, and what only holds it."""

import time

import pytest

from flags.rollout.finding import Finding, Outcome, Reason
from flags.rollout.state import State, Status
from tests.support.injected_patron import UNAVAILABLE, Injection
from tests.support.rollout_files import FLAG
from tests.support.rollout_world import Rollout

pytestmark = pytest.mark.slow

TREATMENT = ("treatment",)
LONG = 3600
"""Seconds that a phase lasts in which something else is to happen than its end."""


def is_stopped(state: State) -> bool:
    """Return whether the rollout was rolled back."""
    return state.status is Status.STOPPED


def is_known(state: State) -> bool:
    """Return whether the last look could read everything, and found something to judge."""
    look = state.look
    return look is not None and look.verdict is not None and look.verdict.findings[0].sample > 0


def findings(state: State) -> tuple[Finding, ...]:
    """Return what the last look found."""
    assert state.look is not None
    assert state.look.verdict is not None
    return state.look.verdict.findings


def failures(state: State) -> dict[str, Reason]:
    """Return what the last look found to be broken, and against what it was measured."""
    return {each.criterion: each.reason for each in findings(state) if each.outcome == Outcome.FAIL}


def finding(state: State, criterion: str) -> Finding:
    """Return what the last look found of one criterion."""
    [found] = [each for each in findings(state) if each.criterion == criterion]
    return found


async def test_errors_bring_it_back_within_one_evaluation(rollout: Rollout) -> None:
    """Errors at 50 % bring it back to 10 % by the next look, the breaker being slower."""
    look_every = 4
    rollout.write_file(phases=((10, 1), (50, LONG), (100, LONG)), look_every=look_every)
    async with rollout.world.load(), rollout.controlled():
        await rollout.start()
        await rollout.becomes(lambda state: state.percent == 50)
        await rollout.becomes(is_known)
        await rollout.looked()
        rollout.world.injections.set(Injection(arms=TREATMENT, gated=True, error=UNAVAILABLE))
        injected = time.time()
        state = await rollout.becomes(is_stopped)
    assert (state.history[-1].action, state.history[-1].percent) == ("roll back", 10)
    assert rollout.world.share() == 10
    assert failures(state) == {"error rate": Reason.ABSOLUTE}
    # A look that began just when the errors did may not have seen enough of them.
    assert state.history[-1].at - injected < look_every + 2


async def test_the_breaker_is_sooner(rollout: Rollout) -> None:
    """Where many calls fail, it goes back before the next look."""
    look_every = 60
    rollout.write_file(phases=((10, 1), (50, LONG)), look_every=look_every, burn=10)
    async with rollout.world.load(), rollout.controlled():
        await rollout.start()
        await rollout.does("advance")
        await rollout.world.workers_see(50)
        rollout.world.injections.set(Injection(arms=TREATMENT, gated=True, error=UNAVAILABLE))
        injected = time.time()
        state = await rollout.becomes(is_stopped)
    assert (state.history[-1].action, state.history[-1].percent) == ("break", 10)
    assert rollout.world.share() == 10
    assert state.history[-1].at - injected < look_every / 3


async def test_too_little_traffic_holds(rollout: Rollout) -> None:
    """However long it lasts, a phase with hardly a call neither passes nor fails, and says so."""
    rollout.write_file(phases=((10, 3), (100, LONG)), look_every=1)
    async with rollout.world.load(rate=2), rollout.controlled() as controller:
        await rollout.start()
        state = await rollout.looked(times=8)
        status = await rollout.command("status")
        held_since = controller.metric("patron_rollout_hold_since_timestamp_seconds", flag=FLAG)
        log = controller.running.errors
    assert state.look is not None
    assert state.look.at - state.phase_since > 3
    assert finding(state, "error rate").outcome is Outcome.HOLD
    assert not failures(state)
    assert state.percent == rollout.world.share() == 10
    assert (state.status, status.returncode) == (Status.RUNNING, 3)
    assert state.phase_since < held_since < state.look.at
    assert "the rollout holds" in log


async def test_slowness_of_the_treatment_alone_is_relative(rollout: Rollout) -> None:
    """Where only merchants with the feature wait, within the limits: it fails as relative."""
    rollout.write_file(phases=((10, 1), (50, LONG)), slow_seconds=2)
    rollout.world.injections.set(Injection(arms=TREATMENT, gated=False, delay=0.7))
    async with rollout.world.load(), rollout.controlled():
        await rollout.start()
        state = await rollout.becomes(is_stopped)
    assert failures(state) == {"p95, compared": Reason.RELATIVE}
    assert finding(state, "p95").outcome is Outcome.PASS


async def test_slowness_of_both_arms_is_absolute(rollout: Rollout) -> None:
    """Where everybody waits alike it fails as absolute, and the comparison shows no difference."""
    rollout.write_file(phases=((10, LONG),), slow_seconds=0.5)
    rollout.world.injections.set(Injection(delay=0.7))
    async with rollout.world.load(), rollout.controlled():
        await rollout.start()
        state = await rollout.becomes(is_stopped)
    assert failures(state) == {"p95": Reason.ABSOLUTE}
    compared = finding(state, "p95, compared")
    assert compared.outcome is Outcome.PASS
    assert compared.value == pytest.approx(1, abs=0.4)
    assert state.percent == rollout.world.share() == 0


async def test_a_new_kind_of_error_fails(rollout: Rollout) -> None:
    """Three merchants with an error that nobody saw before are too many, however rare it is."""
    rollout.write_file(phases=((10, LONG),), error_rate=0.2)
    async with rollout.world.load(), rollout.controlled():
        await rollout.start()
        await rollout.becomes(is_known)
        rollout.world.injections.set(
            Injection(arms=TREATMENT, gated=True, share=0.03, error="FlywheelCracked")
        )
        state = await rollout.becomes(is_stopped)
    assert failures(state) == {"new kinds of errors": Reason.ABSOLUTE}
    assert "FlywheelCracked" in finding(state, "new kinds of errors").explanation
    assert state.percent == rollout.world.share() == 0


async def test_a_kind_of_error_from_before_is_not_new(rollout: Rollout) -> None:
    """What failed before the rollout began is no fault of the feature."""
    rollout.write_file(phases=((10, 4),), error_rate=0.2)
    world = rollout.world
    async with world.load(), rollout.controlled() as controller:
        world.injections.set(Injection(gated=False, share=0.03, error="OldRust"))
        await world.has_kind("OldRust")
        await rollout.start()
        state = await rollout.becomes(lambda state: state.status is not Status.RUNNING)
        assert controller.running.process.poll() is None
    assert state.status is Status.COMPLETED
    assert "OldRust" in state.known_kinds


async def test_a_mended_error_is_no_hindrance(rollout: Rollout) -> None:
    """What has failed a rollout does so again unless it is mended, though merchants had met it."""
    rollout.write_file(phases=((10, 12),), error_rate=0.3)
    world = rollout.world
    async with world.load(), rollout.controlled():
        world.injections.set(
            Injection(arms=TREATMENT, gated=True, share=0.05, error="GovernorStuck")
        )
        for _ in range(2):
            await rollout.start()
            state = await rollout.becomes(is_stopped)
            assert failures(state) == {"new kinds of errors": Reason.ABSOLUTE}
        world.injections.set()
        await rollout.start()
        state = await rollout.becomes(lambda state: state.status is not Status.RUNNING)
    assert state.status is Status.COMPLETED


async def test_bad_ratings_fail(rollout: Rollout) -> None:
    """Merchants who have the feature and don't like it bring it back."""
    rollout.write_file(phases=((50, LONG),), ratings=20)
    world = rollout.world
    async with world.load(), rollout.controlled():
        await rollout.start()
        await world.workers_see(50)
        await rollout.becomes(is_known)
        await world.rate(1, times=40)
        state = await rollout.becomes(is_stopped)
    assert failures(state) == {"ratings": Reason.ABSOLUTE}
    assert finding(state, "ratings").value == 1


async def test_a_block_holds_until_it_is_lifted(rollout: Rollout) -> None:
    """While it is blocked not even a FAIL moves it; then the next look does."""
    rollout.write_file(phases=((10, 3), (50, LONG)), look_every=1)
    async with rollout.world.load(), rollout.controlled():
        await rollout.start()
        await rollout.does("block")
        state = await rollout.becomes(
            lambda state: (
                state.look is not None
                and state.look.at > state.phase_since + 3
                and state.look.verdict is not None
                and state.look.verdict.outcome is Outcome.PASS
            )
        )
        state = await rollout.looked(times=3)
        status = await rollout.command("status")
        assert state.percent == rollout.world.share() == 10
        assert status.returncode == 3
        assert "a test wants it" in status.stdout
        await rollout.does("unblock")
        await rollout.becomes(lambda state: state.percent == 50)
