"""The command on servers of known behaviour: its report says what they did."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.beside_ghz import patron_load
from tests.support.calm import tries
from tests.support.probe import SERVICE, Probe, probe_server

ECHO: Final = ("--insecure", "--call", f"{SERVICE}/Echo", "-O", "json")
DELAY: Final = 0.5
"""Long enough for 2 % of it to be more than what a busy machine adds."""
STALL: Final = 1.0
TRIES: Final = 5
S: Final = 1_000_000_000


def report_of(probe: Probe, arguments: str) -> Any:
    """Return the report of a run."""
    return patron_load(*ECHO, *arguments.split(), probe.target).report


def percentiles(report: Mapping[str, Any]) -> Mapping[str, int]:
    """Return those of ghz's key and of ours that are not of a few calls only, in nanoseconds."""
    theirs = {f"{each['percentage']} %": each["latency"] for each in report["latencyDistribution"]}
    both = theirs | report["patron"]["service"]["percentiles"]
    return {name: both[name] for name in ("10 %", "25 %", "50 %", "p50", "75 %", "90 %", "p90")}


def test_a_delay_is_measured_and_failures_are_counted() -> None:
    """To 2 %, where nothing else keeps the machine busy, and exactly."""
    expected = {"OK": 72, "Unavailable": 8}
    best: dict[str, int] = {}
    with probe_server("--delay", str(DELAY), "--fail-every", "10") as probe:
        for run, calm in enumerate(tries(TRIES), 1):
            # One after the other: a burst would keep them waiting for each other.
            report = report_of(probe, "-n 80 -c 40 -r 60")
            assert report["count"] == 80
            assert report["statusCodeDistribution"] == expected
            assert list(report["errorDistribution"].values()) == [8]
            assert Counter(each["status"] for each in report["details"]) == expected
            assert report["patron"]["service"]["count"] == 72
            assert probe.calls() == {"Echo OK": 72 * run, "Echo UNAVAILABLE": 8 * run}
            seen = percentiles(report)
            assert min(seen.values()) >= DELAY * S
            best = {name: min(value, best.get(name, value)) for name, value in seen.items()}
            with calm:
                assert max(best.values()) <= DELAY * S * 1.02


def test_what_a_stall_hides_the_second_clock_shows(tmp_path: Path) -> None:
    """Of the calls that should have begun meanwhile: the report tells, in every form that can."""
    saved = tmp_path / "report.json"
    for calm in tries():
        with probe_server("--stall-at", "100", "--stall", str(STALL)) as probe:
            done = patron_load(*ECHO, *f"-n 300 -c 5 -r 100 -o {saved}".split(), probe.target)
            assert done.code == 0, done.stderr
            assert probe.calls() == {"Echo OK": 300}
        report = json.loads(saved.read_text())
        patron = report["patron"]
        first, second = patron["service"], patron["response"]
        assert (first["count"], second["count"]) == (300, 300)
        # Five workers wait for the server; the hundred calls of that second are due meanwhile.
        assert first["slowest"] > 0.99 * STALL * S
        assert second["slowest"] >= first["slowest"]
        assert second["percentiles"]["p75"] > STALL * S / 10
        assert second["percentiles"]["p95"] > 0.85 * 0.85 * STALL * S
        assert patron["late"] >= 80
        worst = max(each["response"].get("max", 0) for each in patron["timeline"])
        assert worst == second["slowest"]
        theirs = {
            str(each["percentage"]): each["latency"] for each in report["latencyDistribution"]
        }
        with calm:
            assert second["slowest"] < 1.1 * STALL * S
            assert second["percentiles"]["p95"] == pytest.approx(0.85 * STALL * S, rel=0.15)
            assert patron["late"] <= 130
            assert first["percentiles"]["p95"] < STALL * S / 4
            for key, value in (("90", "p90"), ("95", "p95")):
                assert theirs[key] < STALL * S / 4 < second["percentiles"][value]
