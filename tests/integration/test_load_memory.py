"""The memory of a run does not grow with its length; `LOAD_SECONDS=600` watches ten minutes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from statistics import median
from typing import Final

import psutil
import pytest

from load.recording.details import MOST as MOST_DETAILS
from tests.support.command_line import eventually
from tests.support.probe import PROTO, SERVICE, Probe, probe_server

SECONDS: Final = int(os.environ.get("LOAD_SECONDS", "60"))
WARM: Final = SECONDS * 2 // 5
"""How long buffers may fill: after that, allocators have what they need at the most."""
GROWTH: Final = 5_000_000
DETAIL: Final = 30
"""About how many bytes a call takes whose details are kept, which are the first million."""
SAMPLES: Final = 10


class Watched:
    """A process, and how much memory it had, second by second."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.bytes: list[int] = []

    def look(self) -> None:
        """Look how much it has."""
        with suppress(psutil.NoSuchProcess):
            self.bytes.append(self._process.memory_info().rss)

    @property
    def growth(self) -> int:
        """How much more it had in the end than when it was warm."""
        warm = self.bytes[-(SECONDS - WARM) :]
        return round(median(warm[-SAMPLES:]) - median(warm[:SAMPLES]))


def made(probe: Probe) -> int:
    """Return how many calls the server has answered."""
    return sum(probe.calls().values())


def watch(processes: Sequence[Watched], until: float) -> None:
    """Look at processes once a second."""
    while time.monotonic() < until:
        for each in processes:
            each.look()
        time.sleep(1)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 300)
def test_memory_is_flat_at_full_rate(record_property: Callable[[str, object], None]) -> None:
    """Of the processes that make the calls, and of the one that takes down what they tell."""
    command = [sys.executable, "-m", "load.cli", "--insecure", "--proto", str(PROTO)]
    command += [
        "--call",
        f"{SERVICE}/Echo",
        "-c",
        "100",
        "--connections",
        "10",
        "-z",
        f"{SECONDS}s",
    ]
    with (
        probe_server("--fast") as probe,
        subprocess.Popen([*command, probe.target], stdout=subprocess.PIPE) as process,
    ):
        begun = time.monotonic()
        eventually(lambda: made(probe) > 0)
        run = psutil.Process(process.pid)
        watched = [Watched(each) for each in (run, *run.children(recursive=True))]
        watch(watched, begun + WARM)
        before = made(probe)
        watch(watched, begun + SECONDS - 1)
        calls = made(probe) - before
        summary, _ = process.communicate()
    assert process.returncode == 0
    assert b"[OK]" in summary
    taker, *generators = watched
    record_property("calls", before + calls)
    for each in watched:
        record_property("MB by the minute", [size // 1_000_000 for size in each.bytes[::60]])
    assert calls > 1000 * (SECONDS - WARM)
    assert generators
    assert max(each.growth for each in generators) < GROWTH
    kept = min(calls, max(MOST_DETAILS - before, 0))
    assert taker.growth < GROWTH + DETAIL * kept
