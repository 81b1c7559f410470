"""An SRE's edit in Unleash's web UI, in Chromium, is one that the controller sees."""

import pytest

from flags.rollout.ports import FlagChanged, Share
from tests.support.unleash import Unleash, switch_of
from tests.support.unleash_web import change_rollout

VARIANT = {"name": "blue", "weight": 1000, "weightType": "variable", "stickiness": "userId"}


async def test_an_sre_changes_the_share(unleash: Unleash) -> None:
    """The share that was set on the page is read; a move from the one before is refused."""
    flag = unleash.new_flag(percent=None)
    unleash.add_strategy(flag, percent=10, variants=[VARIANT])
    unleash.enable(flag)
    switch = switch_of(unleash)
    [before] = unleash.strategies(flag)

    await change_rollout(unleash.address, flag, 25)

    assert await switch.read(flag) == Share(25, enabled=True)
    with pytest.raises(FlagChanged, match="is at 25 %, not at 10 %"):
        await switch.move(flag, expected=10, percent=50)
    [after] = unleash.strategies(flag)
    assert after["parameters"] == {**before["parameters"], "rollout": "25"}
    change = (await switch.changes(flag, since=0))[-1]
    assert change.percent == 25
    assert change.told.startswith("admin, 20")
