"""A rollout that nothing is wrong with; the one here that `make test` lives through."""

from flags.rollout.state import Status
from tests.support.rollout_world import Rollout


async def test_a_good_feature_reaches_everybody(rollout: Rollout) -> None:
    """Healthy load takes a flag from 10 over 50 to 100 % of the merchants."""
    rollout.write_file(phases=((10, 4), (50, 4), (100, 4)), look_every=1)
    async with rollout.world.load() as load, rollout.controlled():
        await rollout.start()
        await rollout.becomes(lambda state: state.status is Status.COMPLETED)
        outcomes = await load.stop()
    state = await rollout.state()
    assert [(each.action, each.percent) for each in state.history] == [
        ("start", 10),
        ("promote", 50),
        ("promote", 100),
        ("complete", 100),
    ]
    assert rollout.world.share() == 100
    assert outcomes.others.keys() == {"OK"}
    assert outcomes.reports.keys() == {"OK", "FAILED_PRECONDITION"}
