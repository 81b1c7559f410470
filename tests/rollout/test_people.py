"""An SRE who changes the flag in Unleash wins."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from flags.rollout.state import Status
from tests.support.injected_patron import UNAVAILABLE, Injection
from tests.support.rollout_files import FLAG
from tests.support.rollout_world import REFRESH_SECONDS, Rollout, World
from tests.support.unleash_web import change_rollout

pytestmark = pytest.mark.slow

Edit = Callable[[World, int], Coroutine[None, None, None]]


async def by_the_api(world: World, percent: int) -> None:
    """Change the share through Unleash's API."""
    await asyncio.to_thread(world.unleash.set_share, FLAG, percent)


async def on_the_page(world: World, percent: int) -> None:
    """Change the share on the page of Unleash, in Chromium."""
    await change_rollout(world.unleash.address, FLAG, percent)


@pytest.mark.parametrize("edit", [by_the_api, on_the_page])
async def test_an_edit_reaches_every_worker_and_stays(rollout: Rollout, edit: Edit) -> None:
    """An edit in Unleash holds on every worker soon, and whatever happens until `resume`."""
    rollout.write_file(phases=((10, 3600), (50, 3), (100, 3600)), look_every=1)
    world = rollout.world
    async with world.load(), rollout.controlled():
        await rollout.start()
        await world.workers_see(10)
        changing = asyncio.create_task(edit(world, 60))
        saved = await world.becomes(60)
        assert await world.workers_see(60) - saved < REFRESH_SECONDS + 2
        await changing
        state = await rollout.becomes(lambda state: state.status is Status.PAUSED)
        assert (state.history[-1].action, state.percent) == ("stand back", 60)

        world.injections.set(Injection(gated=True, error=UNAVAILABLE))
        state = await rollout.becomes(
            lambda state: state.look and state.look.verdict and state.look.verdict.failures
        )
        await rollout.looked(times=2)
        assert world.share() == 60
        assert (await rollout.command("status")).returncode == 4

        world.injections.set()
        await rollout.does("resume")
        # From 60 % on it is the phase of 50 %, of which the evidence is from now on.
        state = await rollout.becomes(lambda state: state.percent == 100)
    assert [each.action for each in state.history] == ["start", "stand back", "resume", "promote"]
