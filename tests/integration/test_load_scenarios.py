"""Scenarios, run against a server of known behaviour."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from load.cli import main
from tests.support.probe import PROTO, SERVICE, Probe, probe_server

SCENARIO = f"""
name = "two calls"
host = "127.0.0.1:1"
insecure = true
proto = "{PROTO}"
connections = 5
total = 400
thresholds = ["Echo:p95<10s"]
trailers = ["Probe-Answer"]

[users]
pause = "1ms"
stages = [{{ duration = "0s", target = 5 }}, {{ duration = "500ms", target = 10 }}]

[rows.shops]
file = "shops.csv"
[rows.some]
of = "shops"
first = 2

[[calls]]
call = "{SERVICE}/Echo"
weight = 3
rows = "shops"
metadata = {{ shop = "{{{{.Row.id}}}}" }}
data = {{ name = "{{{{.Row.name}}}} {{{{.MethodName}}}}" }}

[[calls]]
call = "{SERVICE}/Chat"
rows = "some"
metadata = {{ shop = "{{{{.Row.id}}}}" }}
data = [{{ name = "one" }}, {{ name = "{{{{.UUID}}}}" }}]
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """Return the path of a scenario of two calls."""
    (tmp_path / "shops.csv").write_text("id,name\n1,Ada\n2,Bob\n3,Cy\n4,Di\n")
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    """Lend a server."""
    with probe_server() as probe:
        yield probe


def patron_load(scenario: Path, *arguments: str) -> Result:
    """Run a scenario."""
    return CliRunner().invoke(main, ["--scenario", str(scenario), *arguments])


def test_calls_are_made_in_their_shares_with_their_rows(scenario: Path) -> None:
    """The server has seen what the scenario says: each call and each row exactly as often.

    However long that takes: the number of calls ends the run, and not the last of its stages.
    """
    with probe_server() as probe:
        flags = ["--processes", "1", "-O", "json", "--threshold", "count>=400"]
        result = patron_load(scenario, *flags, probe.target)
        assert result.exit_code == 0, result.output
        told = probe.tell()
    assert dict(told.calls) == {"Echo OK": 300, "Chat OK": 100}
    assert told.messages_received == 500
    assert told.connections == 5
    seen = Counter((each.method, each.metadata["shop"]) for each in told.seen)
    assert seen == {
        **{("Echo", f"{shop}"): 75 for shop in (1, 2, 3, 4)},
        **{("Chat", f"{shop}"): 50 for shop in (1, 2)},
    }
    names = {each.request.name for each in told.seen if each.method == "Echo"}
    assert names == {"Ada Echo", "Bob Echo", "Cy Echo", "Di Echo"}
    report: Any = json.loads(result.stdout)
    told_of_it = report["patron"]["scenario"]
    assert [call["weight"] for call in told_of_it["calls"]] == [3, 1]
    assert told_of_it["users"]["pause"] == ["1ms", "1ms"]
    assert told_of_it["rows"] == {"shops": {}, "some": {"of": "shops", "first": 2}}
    assert not re.search("data|metadata|proto|csv|Row", json.dumps(told_of_it))
    assert (report["name"], report["count"], report["endReason"]) == ("two calls", 400, "normal")
    assert (report["options"]["concurrency"], report["options"]["total"]) == (10, 400)
    echo, chat = report["patron"]["calls"]
    assert (echo["count"], chat["count"]) == (300, 100)
    assert echo["trailers"] == {"probe-answer": {"echo": 300}}
    assert [gate["outcome"] for gate in report["patron"]["gates"]] == ["pass", "pass"]


def test_rate_goes_up_by_stages_whatever_workers_do(scenario: Path, probe: Probe) -> None:
    """As many calls as the line says, in the time that the stages take, and none before the run."""
    rate = '[rate]\nworkers = 20\nstages = [{duration = "1s", target = 200}]\n'
    users = SCENARIO[SCENARIO.index("[users]") : SCENARIO.index("[rows.shops]")]
    scenario.write_text(SCENARIO.replace(users, rate).replace("total = 400\n", ""))
    before = sum(probe.calls().values())
    result = patron_load(scenario, "-O", "json", "--warm-up", "300ms", probe.target)
    report: Any = json.loads(result.stdout)
    assert report["count"] + report["patron"]["dropped"] == pytest.approx(100, abs=2)
    assert report["patron"]["scheduled"]
    assert report["patron"]["service"]["count"] == report["count"]
    # Those of the warm-up the server has seen as well.
    assert sum(probe.calls().values()) - before >= report["count"]


@pytest.mark.parametrize(
    "wrong,right,message",
    [
        ("/Chat", "/Chit", "calls[1] (probe.v1.Probe/Chit): "),
        ("{{.UUID}}", "{{.Nobody}}", "calls[1] (probe.v1.Probe/Chat): data"),
        (".Row.name", ".Row.nome", "calls[0] (probe.v1.Probe/Echo): data with row 1: "),
        ("first = 2", "first = 9", "rows.some: first: there are no 9 rows, but 4"),
        ("shops.csv", "shop.csv", "rows.shops: "),
    ],
)
def test_what_cannot_be_called_is_told_at_once_with_the_call(
    scenario: Path, probe: Probe, wrong: str, right: str, message: str
) -> None:
    """Nothing is run when one of the calls cannot be made."""
    scenario.write_text(SCENARIO.replace(wrong, right))
    result = patron_load(scenario, probe.target)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {message}")


def test_threshold_of_a_scenario_ends_it_with_99(scenario: Path, probe: Probe) -> None:
    """A scenario says itself what must hold."""
    scenario.write_text(SCENARIO.replace("p95<10s", "p95<1ns"))
    log = scenario.with_name("log")
    assert patron_load(scenario, "--debug", str(log), probe.target).exit_code == 99
    assert "thresholds" in log.read_text()
    # What may be a secret is not there.
    assert ".Row.id" not in log.read_text()


def test_print_config_shows_the_scenario_and_opens_nothing(scenario: Path) -> None:
    """It is there with the flags, though neither rows nor server are."""
    (scenario.parent / "shops.csv").unlink()
    result = patron_load(scenario, "--print-config", "--total", "7", "nobody:1")
    printed = json.loads(result.stdout)
    assert (printed["total"], printed["host"], len(printed["calls"])) == (7, "nobody:1", 2)


@pytest.mark.parametrize("flags", [["--print-config"], []])
def test_threshold_that_is_none_is_told_before_anything_else(
    scenario: Path, flags: list[str]
) -> None:
    """By the file that has it; the server, which nobody could reach, is not asked."""
    scenario.write_text(SCENARIO.replace("Echo:p95<10s", "p95<2"))
    result = patron_load(scenario, *flags)
    assert result.exit_code == 1
    assert f"{scenario}: threshold 'p95<2': the limit of p95 is a duration" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--rows", "a=b", "--call", "a.B/C", "host:1"], "rows: goes with scenario"),
        (["--warm-up", "1s", "--call", "a.B/C", "host:1"], "warm-up: goes with scenario"),
        (["--scenario", "a.toml", "--config", "b.json"], "config: excludes scenario"),
        (["--scenario", "none.toml"], "scenario: cannot read none.toml: No such file"),
        (["--rows", "a"], "'a' is not like NAME=PATH"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(arguments: list[str], message: str) -> None:
    """The text names them."""
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, message in result.output) == (1, True), result.output
