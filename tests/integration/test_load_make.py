"""`make load`: the scenarios that ship, on a server of its own."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
CONFIGS = REPOSITORY / "load" / "configs"
FOLDER = REPOSITORY / "build" / "load"
DOCUMENTED = {"OK", "Unavailable", "DeadlineExceeded", "Aborted", "ResourceExhausted"}
"""How calls may end when there are far too many."""
SECONDS = 100


def make_load(*arguments: str, summary: Path | None = None) -> tuple[int, str]:
    """Return how it ended, and what it has printed."""
    environment = os.environ | ({"GITHUB_STEP_SUMMARY": str(summary)} if summary else {})
    done = subprocess.run(
        [sys.executable, "-m", "tests.load", "--merchants", "10", *arguments],
        cwd=REPOSITORY,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    return done.returncode, done.stdout


def report() -> Any:
    """Return the report that it has written."""
    return json.loads((FOLDER / "report.json").read_text())


def test_users_call_and_what_they_met_is_judged_and_shown(tmp_path: Path) -> None:
    """All calls end well; 99, for so few of them prove no error rate; reports of all kinds."""
    summary = tmp_path / "summary.md"
    summary.write_text("what was there\n")
    short = ("--duration", "2s", "--warm-up", "500ms", "--processes", "1")
    code, output = make_load(*short, summary=summary)
    assert code == 99, output
    assert "inconclusive error_rate<0.1%" in output
    told = report()
    assert set(told["statusCodeDistribution"]) == {"OK"}, output
    shares = {
        call["call"].rpartition(".")[2]: call["count"] / told["count"]
        for call in told["patron"]["calls"]
    }
    assert shares == {
        "GetSummary": pytest.approx(0.6, abs=0.05),
        "GetCustomer": pytest.approx(0.2, abs=0.05),
        "ListCustomers": pytest.approx(0.1, abs=0.05),
        "CreateBill": pytest.approx(0.1, abs=0.05),
    }
    assert "hit" in told["patron"]["calls"][0]["trailers"]["patron-cache"]
    assert summary.read_text().startswith("what was there\n#")
    assert "100 users" in (FOLDER / "report.html").read_text()
    assert "Gates:" in output
    # There are tokens in it.
    assert stat.S_IMODE((FOLDER / "merchants.jsonl").stat().st_mode) == 0o600


@pytest.mark.slow
@pytest.mark.parametrize(
    "name,flags",
    [
        ("smoke.json", []),
        ("analytics.toml", ["--duration", "3s"]),
        ("soak.toml", ["--duration", "3s"]),
        ("connections.toml", ["--duration", "3s"]),
        ("write-burst.toml", ["--total", "1000"]),
        ("overload.toml", ["--total", "30000"]),
    ],
)
def test_each_configuration_calls_what_there_is(name: str, flags: list[str]) -> None:
    """Calls end well, or under overload as documented; the second clock is never the shorter."""
    kind = "--scenario" if name.endswith(".toml") else "--config"
    code, output = make_load(kind, str(CONFIGS / name), *flags)
    assert code in (0, 99), output
    told = report()
    expected = DOCUMENTED if name == "overload.toml" else {"OK"}
    assert set(told["statusCodeDistribution"]) <= expected, output
    for call in told["patron"]["calls"]:
        assert call["count"], call
        for percentile, service in call["service"]["percentiles"].items():
            assert service <= call["response"]["percentiles"][percentile]
