"""Many rollouts, in batches by several processes; what is done is kept."""

import hashlib
import json
import multiprocessing
import signal
import sys
import time
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from flags.rollout.plan import Plan, load_plan
from flags.rollout.state import Status
from tests.simulation.model import FEATURES, Feature
from tests.simulation.rollouts import Fate, simulate

ROOT: Final = Path(__file__).parents[2]
PLAN: Final = ROOT / "flags/rollouts/customer-analytics.yaml"
CALLS_PER_HOUR: Final = (50, 500, 5000)
_BATCH: Final = 100
_SOURCES: Final = (
    "flags/rollout/breaker.py",
    "flags/rollout/comparison.py",
    "flags/rollout/durations.py",
    "flags/rollout/limits.py",
    "flags/rollout/phases.py",
    "flags/rollout/sequential.py",
    "flags/rollout/verdict.py",
    "tests/simulation/model.py",
    "tests/simulation/rollouts.py",
)
_REPORT_EVERY: Final = 5.0


@dataclass(frozen=True, slots=True)
class Cell:
    """Rollouts that differ by chance alone."""

    feature: Feature
    calls_per_hour: int


CELLS: Final = tuple(Cell(feature, calls) for feature in FEATURES for calls in CALLS_PER_HOUR)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Some of the rollouts of a cell, and where their fates are kept."""

    cell: int
    number: int
    rollouts: int
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / f"{self.cell}-{self.number}-{self.rollouts}.json"


def run(rollouts: int, processes: int, folder: Path) -> dict[Cell, list[Fate]]:
    """Return the fates of so many rollouts in each cell; those of earlier runs count.

    A batch is kept as soon as it is done, in a folder that is named after the code that made it.
    """
    kept = folder / _fingerprint()
    kept.mkdir(parents=True, exist_ok=True)
    size = min(_BATCH, rollouts)
    numbers = range(-(-rollouts // size))
    # Of each cell one after the other: what there is of an interrupted run tells about all.
    batches = [_Batch(cell, number, size, kept) for number in numbers for cell in range(len(CELLS))]
    missing = [batch for batch in batches if not batch.file.exists()]
    if missing:
        _simulate(missing, processes)
    fates: dict[Cell, list[Fate]] = {cell: [] for cell in CELLS}
    for batch in batches:
        fates[CELLS[batch.cell]] += _read(batch.file)
    return {cell: each[:rollouts] for cell, each in fates.items()}


def _simulate(batches: list[_Batch], processes: int) -> None:
    begun = reported = time.monotonic()
    # Threads of this process, such as those of a test, are not to be inherited.
    with multiprocessing.get_context("spawn").Pool(processes, _leave_interrupts) as pool:
        for done, _ in enumerate(pool.imap_unordered(_simulate_batch, batches), start=1):
            now = time.monotonic()
            if now - reported > _REPORT_EVERY or done == len(batches):
                reported = now
                sys.stderr.write(f"{done} of {len(batches)} batches in {now - begun:.0f} s\n")


def _leave_interrupts() -> None:
    """Leave Ctrl+C to the process that waits for the results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _simulate_batch(batch: _Batch) -> None:
    cell, plan = CELLS[batch.cell], _plan()
    seeds = np.random.SeedSequence([batch.cell, batch.number]).spawn(batch.rollouts)
    fates = [asdict(simulate(plan, cell.feature, cell.calls_per_hour, seed)) for seed in seeds]
    begun = batch.file.with_suffix(".new")
    begun.write_text(json.dumps(fates), encoding="utf-8")
    begun.replace(batch.file)


@lru_cache(maxsize=1)
def _plan() -> Plan:
    return load_plan(PLAN)


def _read(file: Path) -> list[Fate]:
    return [
        Fate(**(fate | {"status": Status(fate["status"])}))
        for fate in json.loads(file.read_text(encoding="utf-8"))
    ]


def _fingerprint() -> str:
    """Return a name for what the results depend on."""
    plan = repr(replace(_plan(), queries={})).encode()
    content = b"".join([plan, *((ROOT / name).read_bytes() for name in _SOURCES)])
    return hashlib.sha256(content).hexdigest()[:12]
