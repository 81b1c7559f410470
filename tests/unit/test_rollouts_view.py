"""What the page of rollouts is told, and how it is sent."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flags.rollout.evidence import EvidenceMissing
from flags.rollout.page import rollouts_html
from flags.rollout.page.view import RolloutsView
from flags.rollout.ports import Saved, StoreUnreachable
from flags.rollout.prometheus import ArmPoint
from flags.rollout.state import State, Status
from tests.support.rollout_page import HOUR, NOW, PLAN, PLANS, state


class World:
    """All that a view looks at."""

    def __init__(self, *states: State, directory: Path = PLANS) -> None:
        self.now = NOW
        self.states = list(states)
        self.trouble: Exception | None = None
        self.lines: Exception | Mapping[str, Sequence[ArmPoint]] | None = None
        self.reads = 0
        self.asked: list[tuple[float, float, float]] = []
        self.view = RolloutsView(
            directory=directory,
            states=self.read,
            over_time=lambda plan: None if self.lines is None else self,
            clock=lambda: self.now,
        )

    async def read(self) -> list[Saved]:
        self.reads += 1
        if self.trouble is not None:
            raise self.trouble
        return [Saved(each, 1) for each in self.states]

    async def arms(
        self, since: float, until: float, step: float
    ) -> Mapping[str, Sequence[ArmPoint]]:
        self.asked.append((since, until, step))
        if isinstance(self.lines, Exception):
            raise self.lines
        assert self.lines is not None
        return self.lines

    def document(self) -> dict[str, Any]:
        """Return what the page is told now."""
        told: dict[str, Any] = json.loads(self.view.as_json())
        return told

    def series(self) -> dict[str, Any]:
        """Return the lines of the only rollout, a little later than those of before."""
        self.now += 2
        series: dict[str, Any] = self.document()["rollouts"][0]["series"]
        return series


def test_a_rollout() -> None:
    """Plan, state, verdict, readings, history and the time that is left are there."""
    told = World(state()).document()
    [rollout] = told["rollouts"]

    assert (told["as_of"], told["problem"], told["notes"]) == (NOW, None, [])
    assert rollout["plan"]["phases"][1] == {"percent": 50, "at_least": 24 * HOUR}
    assert rollout["state"]["look"]["verdict"]["findings"][0]["criterion"] == "error rate"
    assert rollout["state"]["look"]["readings"][0]["answer"] == "OK 2400"
    assert [entry["action"] for entry in rollout["state"]["history"]] == ["start", "promote"]
    assert rollout["time_left"] == 19 * HOUR
    assert rollout["fresh_until"] == NOW - 60 + 2 * PLAN.look_every + 30


def test_until_when_a_look_is_fresh() -> None:
    """A phase that has just begun is given as long; what has ended never gets old."""
    begun = state(phase_since=NOW - 10)
    [rollout] = World(begun).document()["rollouts"]
    assert rollout["fresh_until"] == NOW - 10 + 2 * PLAN.look_every + 30

    for status in (Status.STOPPED, Status.COMPLETED):
        [rollout] = World(state(status=status)).document()["rollouts"]
        assert rollout["fresh_until"] is None


def test_not_started() -> None:
    """A rollout that was never started is its plan alone."""
    [rollout] = World().document()["rollouts"]

    assert rollout["plan"]["flag"] == PLAN.flag
    assert (rollout["state"], rollout["series"], rollout["time_left"]) == (None, None, None)
    assert rollout["fresh_until"] is None


def test_many_readers() -> None:
    """Within a second all readers get the same document, and it is made once."""
    world = World(state())
    with ThreadPoolExecutor(8) as pool:
        told = {future.result() for future in [pool.submit(world.view.as_json) for _ in range(32)]}
    assert (len(told), world.reads) == (1, 1)

    world.now += 1
    assert world.view.as_json() not in told
    assert world.reads == 2


def test_the_clock_was_set_back() -> None:
    """A document from the future is made anew."""
    world = World(state())
    world.document()
    world.now -= HOUR

    assert world.document()["as_of"] == NOW - HOUR


def test_the_database_does_not_answer() -> None:
    """The last that was known is shown, with its time, and what is the matter."""
    world = World(state())
    world.trouble = StoreUnreachable("cannot connect to PostgreSQL")
    never = world.document()
    assert (never["as_of"], never["rollouts"]) == (None, [])
    assert "cannot connect to PostgreSQL" in never["problem"]

    world.trouble, world.now = None, NOW + 10
    assert world.document()["problem"] is None

    world.trouble, world.now = StoreUnreachable("gone"), NOW + 20
    later = world.document()
    assert (later["now"], later["as_of"]) == (NOW + 20, NOW + 10)
    assert later["rollouts"][0]["state"]["percent"] == 50


def test_what_nobody_thought_of() -> None:
    """Any other failure is told in words too, without its text."""
    world = World(state())
    world.trouble = RuntimeError("password in here")
    told = world.document()

    assert told["problem"] == "The page failed: RuntimeError. The server's log tells more."


def test_a_bad_rollout_file_and_a_missing_one(tmp_path: Path) -> None:
    """Each is a note."""
    (tmp_path / "other.yaml").write_text("flag: other\n")
    told = World(state(), directory=tmp_path).document()
    broken, missing = told["notes"]

    assert "other.yaml: phases: is missing" in broken
    assert missing.startswith("customer-analytics has a state, but no rollout file in")
    assert told["rollouts"] == []


def test_lines_of_the_arms() -> None:
    """From an hour before the phase on, in at most 120 steps; what isn't known is null."""
    world = World(state())
    world.lines = {
        "treatment": (ArmPoint(NOW - 60, 3.0, 1 / 3, None), ArmPoint(NOW, 0.0, None, 0.25)),
        "control": (),
    }
    series = world.series()
    [(since, until, step)] = world.asked

    assert series["error_rate"]["treatment"] == [[NOW - 60, 0.3333], [NOW, None]]
    assert series["slow"] == {"treatment": [[NOW - 60, None], [NOW, 0.25]], "control": []}
    assert series["since"] == NOW - 6 * HOUR
    assert (until, since) == (NOW + 2, NOW - 6 * HOUR + step)
    assert step == pytest.approx((6 * HOUR + 2) / 120)


def test_lines_from_before_the_rollout() -> None:
    """They begin as long before the first phase: how it was without the feature is shown too."""
    world = World(state(started_at=NOW - 60, phase_since=NOW - 60, phase=0, percent=10))
    world.lines = {"control": (ArmPoint(NOW, 1.0, 0.0, 0.1),)}

    assert world.series()["since"] == NOW - 60 - HOUR


def test_lines_are_kept() -> None:
    """They are drawn anew after 15 seconds, or when the rollout has moved."""
    world = World(state())
    world.lines = {"treatment": (ArmPoint(NOW, 1.0, 0.0, 0.1),)}
    for _ in range(3):
        world.series()
    assert len(world.asked) == 1

    world.states = [replace(state(), phase_since=NOW)]
    world.series()
    assert len(world.asked) == 2

    world.now += 15
    world.series()
    assert len(world.asked) == 3


@pytest.mark.parametrize(
    "lines, began, note",
    [
        (None, NOW - HOUR, "PATRON_PROMETHEUS_URL is not set"),
        (EvidenceMissing("Prometheus does not answer", []), NOW - HOUR, "does not answer"),
        ({"treatment": (), "control": ()}, NOW - HOUR, "no calls of either arm"),
        (EvidenceMissing("Prometheus does not answer", []), NOW - 1, "does not answer"),
    ],
)
def test_no_lines(
    lines: Exception | Mapping[str, Sequence[ArmPoint]] | None, began: float, note: str
) -> None:
    """Where there is nothing to draw, it is said why; all else is there."""
    world = World(replace(state(), started_at=began, phase_since=began))
    world.lines = lines

    assert note in world.series()["note"]


def test_the_page_may_run_its_own_script_alone() -> None:
    """The policy names its script and style by their hashes; browsers keep nothing."""
    page = rollouts_html()
    policy = page.headers["Content-Security-Policy"]
    html = page.body.decode()
    for tag in ("script", "style"):
        [text] = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_takes_no_text_for_html() -> None:
    """The script has no way to make elements of text."""
    ways = "innerHTML|outerHTML|insertAdjacentHTML|document.write|DOMParser|eval|Function\\("
    assert not re.search(ways, rollouts_html().body.decode())
