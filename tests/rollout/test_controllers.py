"""Controllers that die, and more of them than are needed."""

import pytest

from flags.rollout.state import State, Status
from tests.support.injected_patron import UNAVAILABLE, Injection
from tests.support.rollout_world import Rollout

pytestmark = pytest.mark.slow

FROM_10_TO_100 = [("start", 10), ("promote", 50), ("promote", 100), ("complete", 100)]


def moves(state: State) -> list[tuple[str, int]]:
    """Return every move of a rollout, and the share after it."""
    return [(entry.action, entry.percent) for entry in state.history]


async def test_another_controller_goes_on(rollout: Rollout) -> None:
    """One that is killed leaves a rollout that the next one goes on with, as if nothing was."""
    rollout.write_file(phases=((10, 3), (50, 6), (100, 3)), look_every=1)
    async with rollout.world.load(), rollout.controlled() as first:
        await rollout.start()
        await rollout.becomes(lambda state: state.percent == 50)
        before = await rollout.looked()
        first.kill()
        async with rollout.controlled():
            after = await rollout.looked()
            state = await rollout.becomes(lambda state: state.status is Status.COMPLETED)
    assert after.phase_since == before.phase_since
    assert moves(state) == FROM_10_TO_100
    assert rollout.world.share() == 100


async def test_two_controllers_move_it_once(rollout: Rollout) -> None:
    """Of two, one moves the flag, as if it were alone, and the other is ready to take over."""
    rollout.write_file(phases=((10, 3), (50, 3), (100, 3600)), look_every=1)
    world = rollout.world
    async with world.load(), rollout.controlled() as one, rollout.controlled() as other:
        await rollout.start()
        await rollout.becomes(lambda state: state.percent == 100)
        [leader] = [each for each in (one, other) if "controls the rollout" in each.running.errors]
        leader.kill()
        world.injections.set(Injection(arms=("treatment",), gated=True, error=UNAVAILABLE))
        state = await rollout.becomes(lambda state: state.status is Status.STOPPED)
    assert moves(state) == [*FROM_10_TO_100[:3], ("roll back", 50)]
    assert world.shares_since(state.started_at) == [10, 50, 100, 50]
