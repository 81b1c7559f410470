"""The flag is moved in a real Unleash, whose traps nobody falls into."""

import asyncio
import socket
import uuid
from collections.abc import Mapping
from typing import Any

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
    assert [each.percent for each in await switch.changes(flag, since=0)] == [None, None, 50]


async def test_changes_nothing_after_somebody_else(unleash: Unleash, switch: UnleashSwitch) -> None:
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
async def test_of_movers_at_once_the_lowest_wins(unleash: Unleash, movers: int) -> None:
    """Unleash lets all of them pass; whoever isn't lower than all before gives way."""
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

        assert {type(each) for each in outcomes} <= {type(None), FlagChanged}, outcomes
        won = [each for each, outcome in zip(wanted, outcomes, strict=True) if outcome is None]
        assert unleash.share(flag) == str(min(won))


async def test_a_person_at_the_same_moment_wins(unleash: Unleash, switch: UnleashSwitch) -> None:
    """The share that a person wrote between Unleash's test and its write is given back."""
    flag = unleash.new_flag(percent=10)

    with pytest.raises(FlagChanged, match="moved to 5 % at the same moment"):
        await _move_while_persons(unleash, switch, flag, {"/parameters/rollout": "5"})

    assert unleash.share(flag) == "5"


async def test_a_share_is_never_given_back_upwards(unleash: Unleash, switch: UnleashSwitch) -> None:
    """Who goes down has gone down, though somebody else went up a moment before."""
    flag = unleash.new_flag(percent=50)
    made = (await switch.changes(flag, since=0))[-1].revision

    await _move_while_persons(unleash, switch, flag, {"/parameters/rollout": "100"}, percent=10)

    assert [each.percent for each in await switch.changes(flag, since=made)] == [100, 10]
    assert unleash.share(flag) == "10"


async def test_the_lowest_of_the_same_moment_stays(unleash: Unleash, switch: UnleashSwitch) -> None:
    """Who goes up gives way to whoever went down, also if that was not the first."""
    flag = unleash.new_flag(percent=10)

    with pytest.raises(FlagChanged, match="moved to 0 % at the same moment"):
        await _move_while_persons(
            unleash, switch, flag, *({"/parameters/rollout": share} for share in ("20", "0"))
        )

    assert unleash.share(flag) == "0"


async def test_a_constraint_of_the_same_moment_stays(
    unleash: Unleash, switch: UnleashSwitch
) -> None:
    """A constraint that a person added between Unleash's test and its write is put back."""
    flag = unleash.new_flag(percent=10)

    await _move_while_persons(unleash, switch, flag, {"/constraints": [CONSTRAINT]})

    [strategy] = unleash.strategies(flag)
    assert strategy["parameters"]["rollout"] == "50"
    assert [c["contextName"] for c in strategy["constraints"]] == ["appVersion"]


async def _move_while_persons(
    unleash: Unleash,
    switch: UnleashSwitch,
    flag: str,
    *edits: Mapping[str, object],
    percent: int = 50,
) -> None:
    """Move a flag; Unleash has tested that before, and writes it after, what persons edit."""
    before = int(unleash.share(flag))
    async with unleash.held(flag) as waiting:
        tasks = []
        for edit in edits:
            tasks.append(asyncio.create_task(asyncio.to_thread(unleash.replace, flag, edit)))
            await waiting(len(tasks))
        move = asyncio.create_task(switch.move(flag, expected=before, percent=percent))
        await waiting(len(tasks) + 1)
    await asyncio.gather(*tasks)
    await move


async def test_leaves_the_rest_of_the_strategy(unleash: Unleash, switch: UnleashSwitch) -> None:
    """A person's constraint, variants and group survive moves, up and back again."""
    flag = unleash.new_flag(percent=None)
    parameters = {"rollout": "10", "stickiness": "userId", "groupId": "somebody's own"}
    unleash.add_strategy(
        flag, parameters=parameters, constraints=[CONSTRAINT], variants=[VARIANT], title="Pilot"
    )
    unleash.enable(flag)
    before = unleash.strategies(flag)

    await switch.move(flag, expected=10, percent=50)
    [moved] = unleash.strategies(flag)
    await switch.move(flag, expected=50, percent=10)

    assert moved == before[0] | {"parameters": parameters | {"rollout": "50"}}
    assert unleash.strategies(flag) == before


async def test_sets_no_share_that_lets_nobody_in(unleash: Unleash, switch: UnleashSwitch) -> None:
    """Unleash would take 250 % and let nobody in; the switch doesn't ask it."""
    flag = unleash.new_flag(percent=10)

    for percent in (-1, 101, 250):
        with pytest.raises(ValueError, match="no percentage"):
            await switch.move(flag, expected=10, percent=percent)

    assert unleash.share(flag) == "10"


@pytest.mark.parametrize("share", ["250", "abc", "", "-5", "10.5"])
async def test_reads_no_share_that_lets_nobody_in(
    unleash: Unleash, switch: UnleashSwitch, share: str
) -> None:
    """What a person has set that is no percentage is told, and not taken for one."""
    flag = unleash.new_flag(percent=10)
    unleash.replace(flag, {"/parameters/rollout": share})

    await _is_unusable(switch, flag, "set it to a percentage")


async def test_a_flag_that_is_off(unleash: Unleash, switch: UnleashSwitch) -> None:
    """A flag that is off lets nobody in, and is not moved: switching it on is a person's."""
    flag = unleash.new_flag(percent=10)
    unleash.disable(flag)

    assert await switch.read(flag) == Share(0, enabled=False)
    with pytest.raises(FlagUnusable, match="is off in production: switch it on"):
        await switch.move(flag, expected=0, percent=10)
    assert not unleash.is_enabled(flag)


async def test_a_flag_without_strategy(unleash: Unleash, switch: UnleashSwitch) -> None:
    """A flag that is on and has no strategy lets everybody in: it cannot be moved."""
    flag = unleash.new_flag(percent=10)
    [strategy] = unleash.strategies(flag)
    unleash.remove_strategy(flag, strategy["id"])
    unleash.enable(flag)
    for added in unleash.strategies(flag):  # Unleash adds one for everybody to let in.
        unleash.remove_strategy(flag, added["id"])

    with pytest.raises(FlagUnusable, match="has no strategy"):
        await switch.move(flag, expected=0, percent=10)


async def test_a_flag_with_two_strategies(unleash: Unleash, switch: UnleashSwitch) -> None:
    """A second strategy lets more in than the share says; one that is disabled doesn't."""
    flag = unleash.new_flag(percent=10)
    unleash.add_strategy(flag, percent=20, disabled=True)

    assert await switch.read(flag) == Share(10, enabled=True)
    unleash.add_strategy(flag, percent=30)
    await _is_unusable(switch, flag, "has 2 strategies")


async def test_a_flag_for_everybody(unleash: Unleash, switch: UnleashSwitch) -> None:
    """A strategy without a share cannot be moved."""
    flag = unleash.new_flag(percent=None)
    unleash.add_strategy(flag, name="default", parameters={})
    unleash.enable(flag)

    await _is_unusable(switch, flag, "of type default: replace it by flexibleRollout")


@pytest.mark.parametrize("stickiness", ["default", "random", "sessionId"])
async def test_a_flag_that_is_not_sticky(
    unleash: Unleash, switch: UnleashSwitch, stickiness: str
) -> None:
    """With another stickiness a share is not the same merchants each time."""
    flag = unleash.new_flag(percent=10)
    unleash.replace(flag, {"/parameters/stickiness": stickiness})

    await _is_unusable(switch, flag, f"sticky by {stickiness}: make it userId")


async def _is_unusable(switch: UnleashSwitch, flag: str, why: str) -> None:
    with pytest.raises(FlagUnusable, match=why):
        await switch.read(flag)
    with pytest.raises(FlagUnusable, match=why):
        await switch.move(flag, expected=10, percent=50)


async def test_a_flag_that_is_not_there(unleash: Unleash, switch: UnleashSwitch) -> None:
    """A flag that is missing, archived, or in another project or environment is told."""
    flag = unleash.new_flag(percent=10)
    api, token = unleash.address.api, unleash.address.admin_token

    with pytest.raises(FlagUnusable, match="no feature named"):
        await switch.read("nobody-knows-it")
    with pytest.raises(FlagUnusable, match="in project"):
        await UnleashSwitch(api=api, token=token, project="other").read(flag)
    with pytest.raises(FlagUnusable, match="environment staging"):
        await UnleashSwitch(api=api, token=token, environment="staging").read(flag)
    unleash.ask("DELETE", f"projects/default/features/{flag}")
    with pytest.raises(FlagUnusable, match="archived flag counts as missing"):
        await switch.read(flag)
    with pytest.raises(FlagUnusable, match="archived flag counts as missing"):
        await switch.prepare(flag)


async def test_prepares_a_flag(unleash: Unleash, switch: UnleashSwitch) -> None:
    """A flag is made that lets nobody in; made again it stays as it is, and where it was moved."""
    flag = f"prepared-{uuid.uuid4().hex[:8]}"

    await switch.prepare(flag)

    assert await switch.read(flag) == Share(0, enabled=True)
    [strategy] = unleash.strategies(flag)
    assert strategy["parameters"] == {"rollout": "0", "stickiness": "userId", "groupId": flag}
    happened = [e["type"] for e in unleash.ask("GET", f"events/{flag}")["events"]]
    assert happened[::-1] == [
        "feature-created",
        "feature-strategy-add",
        "feature-environment-enabled",
    ]
    await switch.move(flag, expected=0, percent=10)
    await switch.prepare(flag)
    assert await switch.read(flag) == Share(10, enabled=True)
    unleash.disable(flag)
    await switch.prepare(flag)
    assert not unleash.is_enabled(flag)


async def test_finishes_what_was_half_prepared(unleash: Unleash, switch: UnleashSwitch) -> None:
    """Killed after any step, the preparation is finished by the next one."""
    bare, off = unleash.new_flag(percent=None), unleash.new_flag(percent=None)
    unleash.add_strategy(off, percent=0)

    for flag in (bare, off):
        await switch.prepare(flag)
        assert await switch.read(flag) == Share(0, enabled=True)
        assert len(unleash.strategies(flag)) == 1


async def test_tells_who_changed_it(unleash: Unleash, switch: UnleashSwitch) -> None:
    """Each change is told with who made it: a token by its name, a person by theirs."""
    flag = unleash.new_flag(percent=10)
    made = (await switch.changes(flag, since=0))[-1].revision
    await switch.move(flag, expected=10, percent=50)
    unleash.person().set_share(flag, 20)
    unleash.disable(flag)

    by_token, by_person, off = await switch.changes(flag, since=made)

    assert made < by_token.revision < by_person.revision < off.revision
    assert (by_token.percent, by_person.percent, off.percent) == (50, 20, None)
    assert by_token.told.startswith("the token patron, 20")
    assert by_token.told.endswith("Z: 10 % to 50 %")
    assert by_person.told.startswith("admin, 20")
    assert by_person.told.endswith("Z: 50 % to 20 %")
    assert off.told.endswith("feature environment disabled")
    assert await switch.changes(flag, since=off.revision) == []
    assert await switch.changes("nobody-knows-it", since=0) == []


async def test_tells_a_share_from_what_else_was_changed(
    unleash: Unleash, switch: UnleashSwitch
) -> None:
    """Whatever a strategy has beside its share: only what leaves all that alone sets the share."""
    flag = unleash.new_flag(percent=None)
    unleash.add_strategy(
        flag, percent=10, constraints=[CONSTRAINT], variants=[VARIANT], title="Pilot"
    )
    unleash.enable(flag)
    made = (await switch.changes(flag, since=0))[-1].revision
    await switch.move(flag, expected=10, percent=50)
    unleash.replace(flag, {"/parameters/rollout": "60", "/constraints": []})
    unleash.replace(flag, {"/parameters/rollout": "abc"})
    for word in ("a-tag", "another"):
        unleash.ask("POST", f"features/{flag}/tags", {"type": "simple", "value": word})

    changes = await switch.changes(flag, since=made)

    assert [each.percent for each in changes] == [50, None, None]
    assert changes[1].told.endswith(": 50 % to 60 %, and more")


async def test_an_unleash_without_a_history(unleash: Unleash, switch: UnleashSwitch) -> None:
    """Where there is none to ask for, nothing is known of changes, and flags are moved."""
    flag = unleash.new_flag(percent=10)
    ask = switch._ask

    def older(method: str, path: str, *rest: Any) -> Any:
        return ask(method, path.replace("events/", "no-events/"), *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switch, "_ask", older)
        await switch.move(flag, expected=10, percent=50)
        assert await switch.changes(flag, since=0) == []
    assert unleash.share(flag) == "50"


@pytest.mark.parametrize("token", ["wrong-token", "wrong\ntoken", "wrong-tök€n"])
async def test_a_wrong_token(unleash: Unleash, token: str) -> None:
    """A token that Unleash refuses, or that cannot be sent, is told and not repeated."""
    with pytest.raises(SwitchUnreachable, match="token") as refused:
        await UnleashSwitch(api=unleash.address.api, token=token).read("any")

    assert token not in str(refused.value)


async def test_a_client_token(unleash: Unleash) -> None:
    """A client token is refused: it moves nothing."""
    client = UnleashSwitch(api=unleash.address.api, token=unleash.address.client_token)

    with pytest.raises(SwitchUnreachable, match="refuses the admin token"):
        await client.read("any")


async def test_unleash_is_elsewhere(unleash: Unleash) -> None:
    """Nobody at the address, somebody else, or nobody who answers: each in time, and said."""
    token = unleash.address.admin_token
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        nobody = UnleashSwitch(api=f"http://127.0.0.1:{port}/api", token=token)
        with pytest.raises(
            SwitchUnreachable,
            match=rf"^Unleash does not answer at http://127\.0\.0\.1:{port}: connection refused$",
        ):
            await nobody.read("any")
        silent.listen()
        mute = UnleashSwitch(api=f"http://127.0.0.1:{port}/api", token=token, timeout=0.2)
        with pytest.raises(SwitchUnreachable, match=r": timed out$"):
            await mute.read("any")
    page = UnleashSwitch(api=unleash.address.web, token=token)
    with pytest.raises(SwitchUnreachable, match="ends in /api"):
        await page.read("any")
