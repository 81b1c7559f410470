"""Rollouts while a part that they need is gone."""

import asyncio

import pytest

from flags.rollout.state import Status
from tests.support.rollout_files import FLAG
from tests.support.rollout_world import Rollout, becomes

pytestmark = pytest.mark.slow

HOLD_SINCE = "patron_rollout_hold_since_timestamp_seconds"


async def test_it_holds_without_prometheus_and_says_so(rollout: Rollout) -> None:
    """While Prometheus is gone nothing moves, which the controller tells; nor by what it missed."""
    rollout.write_file(phases=((10, 5), (50, 3600)), look_every=1)
    world = rollout.world
    async with world.load(), rollout.controlled() as controller:
        await rollout.start()
        await rollout.looked()
        with world.prometheus_stopped():
            await rollout.becomes(lambda state: state.look and state.look.verdict is None)
            state = await rollout.becomes(
                lambda state: state.look and state.look.at > state.phase_since + 5
            )
            status = await rollout.command("status")
            assert state.look is not None
            assert state.look.verdict is None
            assert state.percent == world.share() == 10
            assert status.returncode == 5
            assert "a metric cannot be read" in status.stdout
            assert controller.metric(HOLD_SINCE, flag=FLAG) > state.phase_since
            assert "the rollout holds" in controller.running.errors
        state = await rollout.becomes(lambda state: state.look and state.look.verdict)
        assert state.percent == 10
        assert state.look is not None
        assert state.look.verdict is not None
        assert state.look.verdict.findings[-1].criterion == "gaps in the evidence"
        await rollout.does("pause")
        await rollout.does("resume")
        await rollout.becomes(lambda state: state.percent == 50)
        # The breaker, which told of it too, looks again at times of its own.
        await becomes(lambda: controller.metric(HOLD_SINCE, flag=FLAG) == 0)


async def test_a_rollback_needs_no_database(rollout: Rollout) -> None:
    """While it hangs the flag is moved and every worker heard; the record is entered later."""
    rollout.write_file(phases=((10, 1), (50, 3600)), look_every=1)
    world = rollout.world
    async with rollout.controlled():
        async with world.load():
            await rollout.start()
            await rollout.does("advance")
            await world.workers_see(50)
        with world.database_stopped():
            done = await rollout.command("rollback", "--reason", "a fire", "--targets", world.admin)
            assert done.returncode == 0, done.stderr
            assert world.share() == 10
            assert "Every worker lets in at most 10 %: 2 of them." in done.stdout
            assert "the record waits in" in done.stderr
        state = await rollout.becomes(lambda state: state.status is Status.STOPPED)
    assert (state.history[-1].action, state.history[-1].reason) == ("roll back", "a fire")
    assert world.share() == 10


async def test_a_rollback_needs_no_prometheus_and_no_controller(rollout: Rollout) -> None:
    """The workers are asked themselves for what they have seen."""
    rollout.write_file(phases=((10, 1), (50, 3600)))
    world = rollout.world
    await rollout.start()
    await rollout.does("advance")
    await world.workers_see(50)
    with world.prometheus_stopped():
        printed = await rollout.does("rollback", "--to", "0", "--targets", world.admin)
    state = await rollout.state()
    assert "Every worker lets in at most 0 %: 2 of them." in printed
    assert (state.status, state.percent, world.share()) == (Status.STOPPED, 0, 0)


async def test_prometheus_tells_when_every_worker_has_seen_a_rollback(rollout: Rollout) -> None:
    """Without addresses of workers it is known by their metrics."""
    rollout.write_file(phases=((10, 3600),))
    await rollout.start()
    await rollout.world.workers_see(10)
    printed = await rollout.does("rollback")
    assert "Every worker lets in at most 0 %: 2 of them." in printed
    await asyncio.wait_for(rollout.world.workers_see(0), 3)
