"""Gates on real servers, by the command line: exit codes, what is told, and what reports keep."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from load.gates.calibration import calibrate
from tests.support.probe import PROTO, SERVICE, Probe, probe_server

_COMMAND = (sys.executable, "-m", "load.cli", "--insecure", "--proto", str(PROTO))
_ECHO = ("--call", f"{SERVICE}/Echo", "-O", "json", "-c", "10")
_SECONDS = 100


@pytest.fixture(scope="module")
def quick() -> Iterator[Probe]:
    """Lend a server that answers at once."""
    with probe_server() as probe:
        yield probe


@pytest.fixture(scope="module")
def slow() -> Iterator[Probe]:
    """Lend a server that takes so long that a busy machine makes no difference."""
    with probe_server("--delay", "0.2") as probe:
        yield probe


def _patron_load(report: Path, *arguments: str) -> tuple[int, str, Any]:
    """Return the exit code, what was told, and the report as JSON, if one was written."""
    done = subprocess.run(
        [*_COMMAND, *_ECHO, "-o", str(report), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    return (
        done.returncode,
        done.stderr,
        json.loads(report.read_bytes()) if report.exists() else None,
    )


def test_slower_server_ends_with_98(tmp_path: Path, quick: Probe, slow: Probe) -> None:
    """Five runs of each take turns; it is told, and kept, by how much which figure is worse."""
    code, told, report = _patron_load(
        tmp_path / "report.json", "-n", "10", "--against", quick.target, slow.target
    )
    assert code == 98, told
    assert [quick.calls(), slow.calls()] == [{"Echo OK": 60}] * 2
    assert report["options"]["host"] == slow.target
    gates = report["patron"]["gates"]
    assert [gate["outcome"] for gate in gates] == ["fail"] * 4 + ["pass"]
    for gate in gates:
        assert f"{gate['gate']}: {gate['figure']}; {gate['gap']}" in told
    assert f"p95 against {quick.target}: 2" in told
    assert f"run 10 of 10, {slow.target}: p95 2" in told


def test_threshold_and_baseline(tmp_path: Path, quick: Probe, slow: Probe) -> None:
    """What isn't kept ends with 99, what got worse with 98, and what can't be compared at once."""
    base = tmp_path / "base.json"
    # The time is over before the last calls are: those are no errors.
    code, told, report = _patron_load(
        base,
        *("-z", "500ms", "--threshold", "p95<1ns", "--threshold", "errors<1"),
        quick.target,
    )
    assert code == 99, told
    assert [gate["outcome"] for gate in report["patron"]["gates"]] == ["fail", "pass"]
    assert (
        report["patron"]["calls"][0]["cut_off"] == report["statusCodeDistribution"]["Unavailable"]
    )

    # So slow was the machine of that day that nothing excuses this run.
    report["patron"]["calibration"] = 1e-3
    base.write_text(json.dumps(report))
    worse = ("-z", "500ms", "--baseline", str(base), slow.target)
    code, told, report = _patron_load(tmp_path / "worse.json", *worse)
    assert code == 98, told
    assert [gate["outcome"] for gate in report["patron"]["gates"]] == ["fail"] * 4 + ["pass"]
    assert report["patron"]["calibration"] > 1

    calls = slow.calls()
    other = ("-z", "2s", "--baseline", str(base), slow.target)
    code, told, report = _patron_load(tmp_path / "other.json", *other)
    assert (code, report, slow.calls()) == (1, None, calls)
    assert "duration 500ms there, 2s here" in told


@pytest.mark.fault
@pytest.mark.slow
def test_server_that_ends_during_a_comparison_is_told(tmp_path: Path, quick: Probe) -> None:
    """The comparison ends at once, with which server that was, and in which run."""
    with probe_server() as other:
        command = [*_COMMAND, *_ECHO, "-n", "10", "--against", other.target, quick.target]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
            assert running.stderr
            for _ in range(3):
                running.stderr.readline()
            psutil.Process(other.process).kill()
            told = running.stderr.read()
            assert running.wait(_SECONDS) == 1
    assert "nothing to compare" in told
    assert other.target in told.splitlines()[-1]


def test_calibration_leaves_nothing_behind() -> None:
    """The echo and its client are gone when it is over."""
    before = set(psutil.Process().children(recursive=True))
    assert min(calibrate().parts) > 0
    left = set(psutil.Process().children(recursive=True)) - before
    # The one that Python itself keeps for processes that are spawned.
    assert all("resource_tracker" in " ".join(process.cmdline()) for process in left)
