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
from tests.support.probe import PROTO, SERVICE, Probe, probe_server

SECONDS: Final = int(os.environ.get("LOAD_SECONDS", "60"))
WARM: Final = SECONDS / 5
"""How long buffers may fill."""
GROWTH: Final = 5_000_000
DETAIL: Final = 30
"""About how many bytes a call takes whose details are kept, which are the first million."""
SAMPLES: Final = 10


class Watched:
    """A process, and how much memory it had."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.bytes: list[int] = []

    def look(self) -> None:
        """Look how much it has."""
        with suppress(psutil.NoSuchProcess):
            self.bytes.append(self._process.memory_info().rss)

    @property
    def growth(self) -> float:
        """How much more it had in the end than in the beginning."""
        return median(self.bytes[-SAMPLES:]) - median(self.bytes[:SAMPLES])


def made(probe: Probe) -> int:
    """Return how many calls the server has answered."""
    return sum(probe.calls().values())


def watch(process: "subprocess.Popen[bytes]", until: float) -> Sequence[Watched]:
    """Look once a second at a process and those that it has started; it comes first."""
    run = psutil.Process(process.pid)
    watched = [Watched(each) for each in (run, *run.children(recursive=True))]
    while time.monotonic() < until:
        time.sleep(1)
        for each in watched:
            each.look()
    return watched


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
        time.sleep(WARM)
        before = made(probe)
        run, *generators = watch(process, begun + SECONDS - 1)
        calls = made(probe) - before
        summary, _ = process.communicate()
    assert process.returncode == 0
    assert b"[OK]" in summary
    growths = [round(each.growth) for each in (run, *generators)]
    record_property("calls", calls)
    record_property("growths in bytes", growths)
    assert calls > 1000 * (SECONDS - WARM)
    assert generators
    assert max(growths[1:]) < GROWTH
    kept = min(calls, max(MOST_DETAILS - before, 0))
    assert growths[0] < GROWTH + DETAIL * kept
