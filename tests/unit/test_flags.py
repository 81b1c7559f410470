"""What is taken for flags, what they say, and decisions that are remembered."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests
from UnleashClient.constants import ETAG, FEATURES_URL

from domain.model.caller import Caller
from domain.model.feature import Decision, DecisionReason
from flags.deciding import SHIPPED_FLAGS
from flags.deciding.cache import SnapshotCache
from flags.deciding.features import RememberingFeatures, features_in
from flags.deciding.last_good import LastGood
from flags.deciding.snapshot import FlagsUnusable, Snapshot
from tests.support.flags import flag, flags_of, let_in, merchants

CALLER = Caller(uuid4(), "app")


def told(*flags: dict[str, Any]) -> str:
    """Return an answer with these flags."""
    return json.dumps(flags_of(*flags))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>502 Bad Gateway</html>",
        "null",
        "[]",
        "{}",
        '{"version": 2}',
        '{"version": 2, "features": {}}',
        '{"version": 2, "features": [{"name": "f", "enabled": true}]}',
        '{"version": 2, "features": [{"name": "f", "enabled": "yes", "strategies": []}]}',
        '{"version": 2, "features": [{"name": "f", "enabled": true, "strategies": null}]}',
        '{"version": 2, "features": [{"name": "f", "enabled": true, "strategies": [{}]}]}',
        told({**flag("f"), "strategies": [{"name": "default", "parameters": {"rollout": 10}}]}),
        told({**flag("f"), "variants": 7}),
        told(flag("f"))[:-10],
        "[" * 100_000,
        '{"version": 2, "features": [], "\ud800": 1}',
    ],
)
def test_refuses_what_are_no_flags(text: str) -> None:
    """What the engine would take half, or not at all, is not taken."""
    with pytest.raises(FlagsUnusable, match=r"^tells "):
        Snapshot.parse(text)


def test_refuses_bytes_that_are_no_text() -> None:
    """Neither is what cannot be read as text."""
    with pytest.raises(FlagsUnusable):
        Snapshot.parse(b'{"version": 2, "features": [], "x": "\xff"}')


@pytest.mark.parametrize(
    "told_flag, share, reasons",
    [
        (flag("f", percent=0), 0, {DecisionReason.OUTSIDE_ROLLOUT}),
        (flag("f", percent=30), 30, {DecisionReason.ROLLOUT, DecisionReason.OUTSIDE_ROLLOUT}),
        (flag("f", percent=100), 100, {DecisionReason.ALWAYS_ON}),
        (flag("f", percent=250), 0, {DecisionReason.OUTSIDE_ROLLOUT}),
        (flag("f", percent=-1), 0, {DecisionReason.OUTSIDE_ROLLOUT}),
        (flag("f", percent=100, enabled=False), 0, {DecisionReason.SWITCHED_OFF}),
        ({**flag("f"), "strategies": []}, 100, {DecisionReason.ALWAYS_ON}),
        ({**flag("f"), "strategies": [{"name": "default"}]}, 100, {DecisionReason.ALWAYS_ON}),
        ({**flag("f"), "strategies": [{"name": "own"}]}, None, {DecisionReason.OUTSIDE_ROLLOUT}),
        (
            {**flag("f"), "strategies": flag("f", percent=100)["strategies"] * 2},
            None,
            {DecisionReason.ALWAYS_ON},
        ),
        (
            flag("f", percent=100, constraints=[{"contextName": "platform", "operator": "NOT_IN"}]),
            100,
            {DecisionReason.ROLLOUT},
        ),
        (flag("another"), 0, {DecisionReason.UNKNOWN_FLAG}),
    ],
)
def test_shares_and_reasons(
    tmp_path: Path, told_flag: dict[str, Any], share: int | None, reasons: set[DecisionReason]
) -> None:
    """The share is the engine's, and each decision says why it is so."""
    file = tmp_path / "flags.json"
    file.write_text(told(told_flag))
    features = features_in(file)
    decisions = [features.decide("f", caller) for caller in merchants(200)]

    assert features.share("f") == share
    assert {decision.reason for decision in decisions} == reasons
    if share is not None:
        enabled = sum(decision.enabled for decision in decisions)
        assert 2 * share == pytest.approx(enabled, abs=25 if 0 < share < 100 else 0)


def test_shipped_flags_are_on() -> None:
    """A server without an Unleash has everything on."""
    decision = features_in(SHIPPED_FLAGS).decide("customer-analytics", CALLER)

    assert decision == Decision(True, DecisionReason.ALWAYS_ON)


def test_says_which_file_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there is no flags."""
    with pytest.raises(FlagsUnusable, match="cannot be read: No such file"):
        features_in(tmp_path / "nothing.json")


class Counting:
    """Decides and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.enabled = True

    def __call__(self, feature: str, context: dict[str, Any]) -> bool:
        self.asked += 1
        return self.enabled


def test_decides_once() -> None:
    """A merchant is decided about once for each version and platform, until the flags change."""
    engine = Counting()
    features = RememberingFeatures(engine, Snapshot.nothing())
    for _ in range(3):
        for caller in (CALLER, CALLER._replace(app_version="2"), CALLER._replace(platform="ios")):
            assert features.decide("f", caller).enabled
    assert engine.asked == 3

    engine.enabled = False
    assert features.decide("f", CALLER).enabled
    features.replace(Snapshot.nothing())
    assert not features.decide("f", CALLER).enabled


def test_forgets_the_oldest_decision() -> None:
    """No more than so many decisions are remembered."""
    engine = Counting()
    features = RememberingFeatures(engine, Snapshot.nothing(), remembered=2)
    for feature in ("a", "b", "c", "b", "c", "a"):
        features.decide(feature, CALLER)

    assert engine.asked == 4


def test_a_decision_of_the_flags_before_is_not_kept() -> None:
    """Flags that change while a decision is made leave nothing of it behind."""

    def replacing(feature: str, context: dict[str, Any]) -> bool:
        features.replace(Snapshot.nothing())
        return True

    features = RememberingFeatures(replacing, Snapshot.nothing())
    features.decide("f", CALLER)

    assert not features._memory.decisions


class Poll:
    """What UnleashClient does with its cache, in its order."""

    def __init__(self, cache: SnapshotCache) -> None:
        self.cache = cache

    def __call__(self, state: str | None, etag: str, *, status: int | None = None) -> str:
        """Store an answer, or none; return the etag that it was asked with."""
        asked: str = self.cache.get(ETAG, "")
        if status is not None:
            answer = requests.Response()
            answer.status_code = status
            headers = {"If-None-Match": asked} if asked else {}
            answer.request = requests.Request("GET", "http://unleash", headers=headers).prepare()
            self.cache.answered(answer, timeout=3)
        if state:
            self.cache.set(FEATURES_URL, state)
        if etag:
            self.cache.set(ETAG, etag)
        self.cache.get(FEATURES_URL)
        return asked


@pytest.fixture
def poll(tmp_path: Path) -> Poll:
    """Return polls of a worker that knows nothing yet."""
    return Poll(SnapshotCache(LastGood(tmp_path / "worker-0.json"), None))


def test_nonsense_is_not_taken(poll: Poll) -> None:
    """Flags stay when nonsense comes, and its etag is not asked with: it would keep them for ever.

    What comes with no etag leaves that of the flags before behind, too.
    """
    good, better = told(flag("f", percent=10)), told(flag("f", percent=50))
    assert poll(good, "1") == ""
    assert poll("<html>", "2") == "1"
    assert poll(None, "1") == "1"
    assert poll.cache.snapshot.share("f") == 10
    assert poll(better, "") == "1"
    assert poll.cache.snapshot.share("f") == 50
    assert poll(None, "3") == ""
    assert poll(better, "4") == ""
    assert poll(None, "4", status=304) == "4"
    assert poll(None, "5") == "4"
    assert poll(None, "") == "4"


def test_age(poll: Poll, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flags are as old as the last answer that told them, or that they are the same."""
    now = 1000.0
    cache = poll.cache
    monkeypatch.setattr("flags.deciding.cache.time.monotonic", lambda: now)

    def age_after(state: str | None, etag: str, *, status: int | None = None) -> float:
        nonlocal now
        now += 10
        poll(state, etag, status=status)
        return cache.age

    good = told(flag("f"))
    assert age_after(good, '"1"', status=200) == 0
    assert age_after(None, "", status=304) == 0
    assert age_after(None, 'W/"1"', status=304) == 0
    assert age_after(None, "") == 10
    assert age_after(None, '"1"', status=500) == 20
    assert age_after("nonsense", '"1"', status=200) == 30
    assert age_after(good, "", status=200) == 0
    assert age_after(None, "", status=304) == 10
    assert age_after(good, '"2"', status=200) == 0


def test_another_request_confirms_nothing(poll: Poll, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what is sent to Unleash, nor an answer to another etag, says that flags hold."""
    now = 1000.0
    monkeypatch.setattr("flags.deciding.cache.time.monotonic", lambda: now)
    poll(told(flag("f")), '"1"')
    now += 10
    for headers in ({}, {"If-None-Match": '"2"'}):
        answer = requests.Response()
        answer.status_code = 304
        answer.request = requests.Request("POST", "http://unleash", headers=headers).prepare()
        poll.cache.get(ETAG, "")
        poll.cache.answered(answer)
        poll.cache.get(FEATURES_URL)

    assert poll.cache.age == 10


def test_an_outage_is_two_lines(poll: Poll, capsys: pytest.CaptureFixture[str]) -> None:
    """However often Unleash fails, it is told once; and once when it works again."""
    for _ in range(3):
        poll("nonsense", "")
    for _ in range(2):
        poll(told(), "1")

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "the answer tells no flags" in lines[0]
    assert "answers again" in lines[1]


def test_the_last_good_flags_are_kept(poll: Poll, tmp_path: Path) -> None:
    """The next start begins with them, whatever the bootstrap says; only their owner reads them."""
    bootstrap = Snapshot.parse(told(flag("f", percent=1)))
    file = tmp_path / "flags" / "worker-7.json"
    first = Poll(SnapshotCache(LastGood(file), bootstrap))
    assert first.cache.bootstrapped
    assert first.cache.snapshot.share("f") == 1
    first(told(flag("f", percent=20)), "1")
    first("nonsense", "2")
    first.cache.destroy()

    second = SnapshotCache(LastGood(file), bootstrap)
    assert second.snapshot.share("f") == 20
    assert second.exists(FEATURES_URL)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["worker-7.json"]


def test_a_lost_file_is_no_reason_not_to_start(tmp_path: Path) -> None:
    """A last good state that is damaged, or cannot be written, leaves the bootstrap."""
    file = tmp_path / "worker-0.json"
    file.write_text('{"version": 2, "feat')
    cache = SnapshotCache(LastGood(file), None)
    assert not cache.bootstrapped
    assert not cache.exists(FEATURES_URL)

    elsewhere = Poll(SnapshotCache(LastGood(file / "no-folder" / "worker-0.json"), None))
    elsewhere(told(flag("f", percent=5)), "1")
    assert elsewhere.cache.snapshot.share("f") == 5


def test_let_in_is_deterministic(tmp_path: Path) -> None:
    """Whoever is among 10 % is among 50 %, and the same merchants every time."""
    file, callers = tmp_path / "flags.json", merchants(2000)
    shares: dict[int, set[UUID]] = {}
    for percent in (10, 50, 10):
        file.write_text(told(flag("f", percent=percent)))
        found = let_in(features_in(file), "f", callers)
        assert shares.setdefault(percent, found) == found
    assert shares[10] < shares[50]
