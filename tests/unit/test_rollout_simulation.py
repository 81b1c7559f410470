"""The simulation of rollouts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flags.rollout.state import Status
from tests.simulation import page
from tests.simulation.cells import CELLS, run
from tests.simulation.model import BAD, BOUNDS, GOOD, Arm, Feature, Stretch, World
from tests.simulation.rollouts import BREAKER, Fate, first_burn, simulate
from tests.support.rollouts import PLAN

PAGE = f"before\n{page.BEGIN}old\n{page.END}after\n"


def fates(feature: Feature, calls_per_hour: float) -> list[Fate]:
    """Return what becomes of a few rollouts."""
    return [
        simulate(PLAN, feature, calls_per_hour, np.random.SeedSequence(seed)) for seed in range(5)
    ]


def test_a_good_feature_reaches_everybody() -> None:
    """With enough calls it takes the least time of all phases, and no more."""
    assert fates(GOOD, 50_000) == [Fate(Status.COMPLETED, 100, 96.0, "")] * 5


def test_a_bad_feature_is_caught_in_the_first_phase() -> None:
    """Its error rate is proven to be too high within hours."""
    caught = fates(BAD, 5000)

    assert {(fate.status, fate.percent) for fate in caught} == {(Status.STOPPED, 10)}
    assert all("error rate" in fate.why for fate in caught)
    assert max(fate.hours for fate in caught) < 24


def test_a_feature_that_nobody_calls_is_held() -> None:
    """Without calls the first phase lasts until the time is up."""
    assert fates(GOOD, 0.1) == [Fate(Status.RUNNING, 10, 720.0, "")] * 5


def test_the_breaker_comes_first() -> None:
    """What fails all over is stopped between two looks."""
    broken = Feature("broken", 0.5, 0.5)

    assert {fate.why for fate in fates(broken, 5000)} == {BREAKER}
    assert max(fate.hours for fate in fates(broken, 5000)) < 0.25


def stretch(failed_by_look: list[int]) -> Stretch:
    """Return what happens in a phase with 1,000 calls of the gated methods at each look."""
    looks = len(failed_by_look)
    nothing = Arm(np.zeros(looks, int), np.zeros(looks, int), np.zeros((looks, len(BOUNDS)), int))
    gated = Arm(np.arange(1, looks + 1) * 1000, np.cumsum(failed_by_look), nothing.within)
    return Stretch(gated, nothing, None, np.zeros((looks, 5), int))


def test_the_breaker_looks_back_over_what_was_drawn_before() -> None:
    """Errors of six hours add up, although nothing fails any more in what is drawn next."""
    world = World(GOOD, 4000, PLAN.look_every, np.random.SeedSequence(1))
    before, calm = stretch([0] * 168 + [10] * 24), stretch([0] * 192)
    calm = replace(
        calm,
        gated=replace(calm.gated, ended=calm.gated.ended + 192_000, failed=calm.gated.failed + 240),
    )

    burn = first_burn(PLAN, world, calm, before)
    assert burn is not None
    assert burn[0] == pytest.approx(1 / 30)
    assert first_burn(PLAN, world, stretch([0] * 192), None) is None


def test_batches_are_kept_and_shown(tmp_path: Path) -> None:
    """A second run does nothing anew."""
    first = run(1, 1, tmp_path)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")}
    assert run(1, 1, tmp_path) == first
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")} == files
    assert [len(first[cell]) for cell in CELLS] == [1] * len(CELLS)


def test_the_page_keeps_its_text(tmp_path: Path) -> None:
    """It gets table and pictures in the place of the old ones, each time the same."""
    first = {cell: [Fate(Status.STOPPED, 10, 5.0, "x")] for cell in CELLS}
    text = tmp_path / "simulation.md"
    text.write_text(PAGE)
    page.write(first, text, tmp_path / "images")
    once = text.read_text()
    page.write(first, text, tmp_path / "images")

    assert once == text.read_text()
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "old" not in once
    assert once.count("| 0.5 % errors |") == 6
    assert {file.name for file in (tmp_path / "images").iterdir()} == {
        "simulation-fates.svg",
        "simulation-times.svg",
    }


@pytest.mark.parametrize("share", [10, 50, 100])
def test_the_table_tells_what_became_of_them(share: int) -> None:
    """Each end has its column, and a hold tells where."""
    ends = [Fate(Status.COMPLETED, 100, 96.0, ""), Fate(Status.STOPPED, share, 24.0, "x")] * 10
    line = page.table({CELLS[0]: ends}).splitlines()[-1]

    early, late = ("50.00 %", "0.00 %") if share < 100 else ("0.00 %", "50.00 %")
    assert line.startswith(
        f"| as good as the control | 50 | 50.00 % | {early} | {late} | 0.00 % | 2.5, "
    )
    held = [Fate(Status.RUNNING, 10, 720.0, ""), Fate(Status.RUNNING, 50, 720.0, "")]
    assert "100.00 % (50.00 % at 10 %, 50.00 % at 50 %) | – |" in page.table({CELLS[0]: held})
