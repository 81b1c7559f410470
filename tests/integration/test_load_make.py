"""`make load`: the scenarios that ship, on a server of its own."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from load.report.formats import render
from load.report.reading import read_report
from tests.load import __main__ as making
from tests.support.load_reports import MS, Made, report_of

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


def told_report() -> Any:
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
    told = told_report()
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


class _Tokens:
    def of(self, merchant: int) -> str:
        return f"token of {merchant}"


@pytest.mark.parametrize(
    "arguments,added",
    [
        (["--config=a.json"], ["--metadata-file"]),
        (["--config", "a.json"], ["--metadata-file"]),
        (["--scenario=a.toml"], ["--rows"]),
        (["--scenario", "a.toml"], ["--rows"]),
        ([], ["--scenario", "--rows"]),
    ],
)
def test_flags_may_have_their_values_behind_a_sign(
    arguments: list[str], added: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is added is a token for options of ghz, rows for a scenario, and one if none is said."""
    monkeypatch.setattr(making, "_ROWS", tmp_path / "rows")
    monkeypatch.setattr(making, "_METADATA", tmp_path / "metadata")
    given = making._given(arguments, _Tokens(), 2)  # type: ignore[arg-type]
    assert [each for each in given if each.startswith("--") and each not in arguments] == added


def test_a_report_that_is_kept_has_no_token(tmp_path: Path) -> None:
    """Neither in what is shown of it, nor in its file, which is the same otherwise."""
    secret = {"call": "a.B/C", "metadata": {"authorization": "Bearer hush"}}
    path = tmp_path / "report.json"
    path.write_text(
        "".join(render(report_of([Made(0, MS, MS)], seconds=1, options=secret), "json"))
    )
    kept = making._without_secrets(path)
    assert kept == read_report(path)
    assert kept.options["metadata"] == {"authorization": "(not shown)"}
    assert (kept.count, kept.options["call"]) == (1, "a.B/C")
    assert "hush" not in path.read_text()


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
    code, output = make_load(f"{kind}={CONFIGS / name}", *flags)
    assert code in (0, 99), output
    told = told_report()
    assert "Bearer" not in json.dumps(told)
    expected = DOCUMENTED if name == "overload.toml" else {"OK"}
    assert set(told["statusCodeDistribution"]) <= expected, output
    for call in told["patron"]["calls"]:
        assert call["count"], call
        for percentile, service in call["service"]["percentiles"].items():
            assert service <= call["response"]["percentiles"][percentile]
