"""The flag is moved in a real Unleash, whose traps nobody falls into."""

import asyncio
from collections import Counter

import pytest

from flags.rollout.ports import FlagChanged, FlagUnusable, Share, SwitchUnreachable
from flags.rollout.unleash_admin import UnleashSwitch
from tests.support.unleash import Unleash, switch_of

CONSTRAINT = {"contextName": "appVersion", "operator": "SEMVER_GT", "value": "2.0.0"}
VARIANT = {"name": "blue", "weight": 1000, "weightType": "variable", "stickiness": "userId"}


@pytest.fixture
def switch(unleash: Unleash) -> UnleashSwitch:
    """The switch of the running Unleash."""
    return switch_of(unleash)


async def test_reads_and_moves(unleash: Unleash, switch: UnleashSwitch) -> None:
    """A move changes the share that is read; one to the share that it has changes nothing."""
    flag = unleash.new_flag(percent=10)

    assert await switch.read(flag) == Share(10, enabled=True)
    await switch.move(flag, expected=10, percent=50)
    await switch.move(flag, expected=50, percent=50)

    assert await switch.read(flag) == Share(50, enabled=True)
    assert unleash.share(flag) == "50"
    assert await switch.last_change(flag) is not None


async def test_changes_nothing_after_somebody_else(
    unleash: Unleash, switch: UnleashSwitch
) -> None:
    """A share that is not the expected one stays, and so does the rest."""
    flag = unleash.new_flag(percent=30)
    before = unleash.strategies(flag)

    with pytest.raises(FlagChanged, match="is at 30 %, not at 10 %"):
        await switch.move(flag, expected=10, percent=50)

    assert unleash.strategies(flag) == before


async def test_sees_a_change_between_reading_and_writing(
    unleash: Unleash, switch: UnleashSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Unleash answers with status 500 is a test that failed: somebody was faster."""
    flag = unleash.new_flag(percent=10)
    patch = switch._patch

    def late(*args: object) -> None:
        unleash.set_share(flag, 0)
        patch(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(switch, "_patch", late)
    with pytest.raises(FlagChanged):
        await switch.move(flag, expected=10, percent=50)

    assert unleash.share(flag) == "0"


@pytest.mark.parametrize("movers", [2, 4])
async def test_of_movers_at_once_one_wins(unleash: Unleash, movers: int) -> None:
    """Unleash lets all of them pass; all but one give way, and its share stays."""
    flag = unleash.new_flag(percent=0)
    switches = [switch_of(unleash) for _ in range(movers)]
    for turn in range(10):
        before = (await switches[0].read(flag)).percent
        wanted = [movers * turn + n + 1 for n in range(movers)]

        outcomes = await asyncio.gather(
            *(
                switch.move(flag, expected=before, percent=percent)
                for switch, percent in zip(switches, wanted, strict=True)
            ),
            return_exceptions=True,
        )

        assert Counter(map(type, outcomes)) == {type(None): 1, FlagChanged: movers - 1}, outcomes
        assert unleash.share(flag) == str(wanted[outcomes.index(None)])


async def test_a_person_at_the_same_moment_wins(
    unleash: Unleash, switch: UnleashSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person wrote between Unleash's test and its write is given back."""
    flag = unleash.new_flag(percent=10)
    _between_test_and_write(unleash, flag, monkeypatch, switch, rollout="0")

    with pytest.raises(FlagChanged, match="moved to 0 % at the same moment"):
        await switch.move(flag, expected=10, percent=50)

    assert unleash.share(flag) == "0"


async def test_a_constraint_of_the_same_moment_stays(
    unleash: Unleash, switch: UnleashSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A constraint that a person added between Unleash's test and its write is put back."""
    flag = unleash.new_flag(percent=10)
    _between_test_and_write(unleash, flag, monkeypatch, switch, constraints=[CONSTRAINT])

    await switch.move(flag, expected=10, percent=50)

    [strategy] = unleash.strategies(flag)
    assert strategy["parameters"]["rollout"] == "50"
    assert strategy["constraints"][0]["contextName"] == "appVersion"
