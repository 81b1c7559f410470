"""The command `patron-load`, on a server of known behaviour."""

import json
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result

from load.cli import main
from load.config.options import OPTIONS, Kind
from load.gates.exits import THRESHOLD_FAILED
from tests.support.command_line import eventually
from tests.support.probe import PROTO, SERVICE, Probe, probe_server

COMMAND = (sys.executable, "-m", "load.cli")
ECHO = ("--insecure", "--call", f"{SERVICE}/Echo")
SECONDS = 60
BIG = 2**53 + 1


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    """Lend a server whose every tenth call fails."""
    with probe_server("--fail-every", "10", "--code", "UNAVAILABLE") as probe:
        yield probe


def patron_load(*arguments: str, stdin: str = "") -> Result:
    """Run the command here."""
    return CliRunner().invoke(main, arguments, input=stdin)


def report_of(result: Result) -> Any:
    """Return the JSON that it has shown."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def seen(probe: Probe) -> Any:
    """Return the last call that the server has seen."""
    return probe.tell().seen[-1]


def test_print_config_opens_nothing_that_is_named_and_reads_no_input(tmp_path: Path) -> None:
    """Whoever opened one of these pipes would wait for ever."""
    pipe = tmp_path / "pipe.proto"
    os.mkfifo(pipe)
    named = {option.key: str(pipe) for option in OPTIONS if option.kind is Kind.PATH}
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"call": "a.B/C", "host": "localhost:1", **named}))
    command = [*COMMAND, "--print-config", "--config", str(config), "-d@", "--baseline", str(pipe)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        printed = json.loads(process.stdout.read())
        assert process.wait(SECONDS) == 0
    # A flag says where the data is, so the file doesn't.
    assert printed["data"] == "@"
    assert {key: printed[key] for key in named} == {**named, "data-file": "", "binary-file": ""}


def test_what_is_printed_can_be_given_as_a_configuration(tmp_path: Path) -> None:
    """It is printed again as it was."""
    flags = ["--call", "a.B/C", "-n", "7", "-t", "0", "-d", f'{{"id": {BIG}}}', "-e", "h:1"]
    flags += ["--concurrency-schedule", "step", "--concurrency-end", "9", "--no-insecure"]
    flags += ["--concurrency-step-duration", "1m", "--tags", '{"a": "é"}', "-i", "a,b"]
    first = patron_load("--print-config", *flags)
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["data"] == {"id": BIG}
    (tmp_path / "config.json").write_text(first.stdout)
    again = patron_load("--print-config", "--config", str(tmp_path / "config.json"))
    assert again.stdout == first.stdout


def test_a_run_is_reported_as_the_server_has_seen_it(tmp_path: Path) -> None:
    """A file of options and flags together; the report goes to a file, and what happens too."""
    config = tmp_path / "config.toml"
    config.write_text('total = 10\nconcurrency = 4\nnonsense = 1\n[data]\nname = "a"\n')
    report, log = tmp_path / "report.json", tmp_path / "log"
    flags = ["--config", str(config), "-n", "100", "--tags", '{"a": "b"}', "--name", "the run"]
    flags += ["--metadata", '{"authorization": "hush"}', "--reflect-metadata", '{"key": "hush"}']
    with probe_server("--fail-every", "10", "--code", "UNAVAILABLE") as probe:
        result = patron_load(
            *flags, *ECHO, "-O", "pretty", "-o", str(report), "--debug", str(log), probe.target
        )
        assert result.exit_code == 0, result.output
        assert probe.calls() == {"Echo OK": 90, "Echo UNAVAILABLE": 10}
    assert result.stdout == ""
    assert result.stderr.startswith("Warning: ")
    told = json.loads(report.read_text())
    assert (told["name"], told["tags"], told["count"]) == ("the run", {"a": "b"}, 100)
    assert told["statusCodeDistribution"] == {"OK": 90, "Unavailable": 10}
    assert (told["options"]["total"], told["options"]["concurrency"]) == (100, 4)
    assert told["options"]["data"] == {"name": "a"}
    assert "'nonsense' is unknown" in told["patron"]["warnings"][0]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["message"] for line in lines if line["level"] == "debug"] == [
        "Start run",
        "Prepared",
        "Run finished",
        "Writing the report",
    ]
    assert lines[0]["config"]["total"] == 100
    assert "authorization" in lines[0]["config"]["metadata"]
    assert "hush" not in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert any("'nonsense' is unknown" in line["message"] for line in lines)
    shown = patron_load("report", str(report), "-O", "csv")
    assert shown.stdout.count("\n") > 100


@pytest.mark.parametrize("flag", ["-d@", "--config"])
def test_a_large_number_keeps_its_digits(flag: str, probe: Probe, tmp_path: Path) -> None:
    """Up to the server; beyond 2⁵³, ghz loses them."""
    data = f'{{"big_number": {BIG}}}'
    file = tmp_path / "file.json"
    file.write_text(f'{{"data": {data}}}')
    values = [str(file)] if flag == "--config" else []
    arguments = (*ECHO, flag, *values, "-n", "1", "-c", "1", "-O", "json", probe.target)
    told = report_of(patron_load(*arguments, stdin=data))
    assert seen(probe).request.big_number == BIG
    assert told["options"]["data"] == {"big_number": BIG}


def test_an_encoded_message_is_read_from_standard_input(probe: Probe) -> None:
    """As it is."""
    arguments = (*ECHO, "-b", "-n", "1", "-c", "1", "-O", "json", probe.target)
    told = report_of(patron_load(*arguments, stdin="\x0a\x03abc"))
    assert seen(probe).request.name == "abc"
    assert told["options"]["binary"] is True


def test_the_calls_end_a_run_before_its_longest_time(probe: Probe) -> None:
    """As ghz's help says, and ghz doesn't."""
    result = patron_load(*ECHO, "-n", "20", "-c", "2", "-x", "30s", "-O", "json", probe.target)
    told = report_of(result)
    assert (told["count"], told["endReason"]) == (20, "normal")
    assert (told["options"]["total"], told["options"]["duration"]) == (20, 30 * 10**9)
    assert "max-duration: the run ends after 20 calls" in result.stderr


def closed_port() -> str:
    """Return an address that nobody answers at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


@pytest.mark.parametrize(
    "arguments,told",
    [
        ((*ECHO, closed_port()), "127.0.0.1"),
        ((*ECHO, "--proto", str(PROTO), closed_port()), "127.0.0.1"),
        ((*ECHO, "--call", f"{SERVICE}/Ecko"), "did you mean"),
        ((*ECHO, "-d", '{"nome": 1}'), "nome"),
        ((*ECHO, "-d", '{"name": "{{.RequestNumbr}}"}'), "RequestNumbr"),
        ((*ECHO, "-d", "{{.RequestNumber}}"), "--data' / '-d': this is no JSON"),
        ((*ECHO, "-D", "none.json"), "data-file none.json"),
        ((*ECHO, "-o", "/none/report.json"), "output: cannot write /none/report.json"),
        ((*ECHO, "--debug", "/none/log"), "debug: cannot write /none/log"),
        ((*ECHO, "--processes", "2"), "processes: each needs a connection of its own"),
        ((*ECHO, "--threshold", "p95<2"), "p95<2"),
        ((*ECHO, "--threshold", "Nope:p95<2s"), "Nope"),
        ((*ECHO, "--runs", "5"), "runs: goes with against"),
        ((*ECHO, "--no-insecure"), "does not speak TLS; --insecure calls it without"),
        ((*ECHO, "--max-regression", "5%"), "max-regression: goes with against or baseline"),
        ((*ECHO, "--baseline", "none.json"), "none.json"),
        (("report", "none.json"), "none.json: No such file"),
        (("--call", "a.B/C"), "host: say which server"),
        (("-c", "-1"), "'--concurrency' / '-c': must be a whole number that is not negative"),
        (("--timeout", "5"), "'--timeout' / '-t': '5' has no unit"),
        (("--concurency", "5"), "--concurrency"),
    ],
)
def test_what_cannot_be_run_is_told_at_once(
    arguments: Sequence[str],
    told: str,
    probe: Probe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a line that names it, with exit code 1 and without a report."""
    needs_host = arguments[:3] == ECHO and not arguments[-1].startswith("127.")
    before = probe.calls()
    monkeypatch.chdir(tmp_path)
    result = patron_load(*arguments, *([probe.target] if needs_host else []))
    assert result.exit_code == 1
    assert result.stdout == ""
    *_, last = result.stderr.splitlines()
    assert last.startswith("Error: ")
    assert told in last
    assert probe.calls() == before


def test_a_gate_decides_about_the_exit_code(probe: Probe) -> None:
    """It is told beside the report, and kept in it."""
    arguments = (*ECHO, "-n", "20", "-c", "2", "-O", "json", probe.target)
    kept = patron_load(*arguments, "--threshold", "errors<3", "--threshold", "p95<1m")
    assert [gate["outcome"] for gate in report_of(kept)["patron"]["gates"]] == ["pass", "pass"]
    failed = patron_load(*arguments, "--threshold", "errors<2")
    assert failed.exit_code == 99
    assert json.loads(failed.stdout)["patron"]["gates"][0]["outcome"] == "fail"
    assert "fail" in failed.stderr
    assert "errors<2" in failed.stderr


def test_data_that_makes_no_message_midway_ends_the_run_with_an_error(probe: Probe) -> None:
    """What was measured until then is reported."""
    data = '{"name": "{{if eq .RequestNumber 5}}{{fail \\"it is five\\"}}{{end}}"}'
    result = patron_load(*ECHO, "-n", "10", "-c", "1", "-O", "json", "-d", data, probe.target)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["count"] == 5
    assert "it is five" in told["patron"]["failure"]
    assert "it is five" in result.stderr


@pytest.mark.slow
def test_two_servers_take_turns() -> None:
    """One warm-up and as many runs of each as are asked for; the other's figures are the limit."""
    with probe_server() as other, probe_server("--delay", "0.05") as judged:
        result = patron_load(
            *(*ECHO, "-n", "20", "-c", "4", "-O", "json", "--against", other.target),
            *("--runs", "5", "--max-regression", "50%", judged.target),
        )
        assert other.calls() == judged.calls() == {"Echo OK": 6 * 20}
    assert result.exit_code == 98, result.stderr
    gates = json.loads(result.stdout)["patron"]["gates"]
    assert all(gate["regression"] for gate in gates)
    assert "fail" in [gate["outcome"] for gate in gates]


@pytest.mark.slow
def test_a_report_with_a_calibration_is_a_baseline(tmp_path: Path) -> None:
    """Of runs on the same machine that do the same."""
    base = str(tmp_path / "base.json")
    with probe_server("--delay", "0.05") as probe:
        arguments = (*ECHO, "-n", "40", "-c", "4", probe.target, "-O", "json")
        made = patron_load(*arguments, "--calibrate", "-o", base)
        assert made.exit_code == 0, made.output
        same = patron_load(*arguments, "--baseline", base)
        unlike = patron_load(*arguments, "-c", "5", "--baseline", base)
        assert probe.calls() == {"Echo OK": 2 * 40}
    told = json.loads(same.stdout)["patron"]
    assert told["calibration"] > 0
    assert {gate["regression"] for gate in told["gates"]} == {True}
    failed = any(gate["outcome"] != "pass" for gate in told["gates"])
    assert same.exit_code == (98 if failed else 0)
    assert unlike.exit_code == 1
    assert "concurrency" in unlike.stderr


def running(probe: Probe, *arguments: str) -> "subprocess.Popen[str]":
    """Start a run of a minute, and wait until it makes calls."""
    before = probe.tell().messages_received
    process = subprocess.Popen(
        [*COMMAND, *ECHO, "-z", "60s", "-c", "2", "-r", "200", *arguments, probe.target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: probe.tell().messages_received > before)
    return process


def test_ctrl_c_ends_a_run_and_leaves_its_report(probe: Probe) -> None:
    """Which tells so; ghz's exit code is 0 too."""
    with running(probe, "-O", "json") as process:
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, stderr
    told = json.loads(stdout)
    assert told["endReason"] == "cancel"
    assert told["count"] > 0
    assert "Ending the run." in stderr


@pytest.mark.parametrize("gate, status", [((), 130), (("--threshold", "p95<2s"), THRESHOLD_FAILED)])
def test_ctrl_c_before_the_first_call_is_no_success(gate: Sequence[str], status: int) -> None:
    """Nothing was measured; the report says so."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        flags = ("--proto", str(PROTO), "-n", "5", "-c", "1", "-O", "json", *gate, target)
        with subprocess.Popen(
            [*COMMAND, *ECHO, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            silent.settimeout(SECONDS)
            # Whoever connects is a process of a run: by now Ctrl-C is heard.
            with silent.accept()[0]:
                process.send_signal(signal.SIGINT)
                stdout, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == status, stderr
    told = json.loads(stdout)
    assert (told["endReason"], told["count"]) == ("cancel", 0)


@pytest.mark.parametrize("number,status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_ctrl_c_ends_everything_at_once(number: signal.Signals, status: int) -> None:
    """No report is left, and no process; SIGTERM is enough once."""
    # Those in flight are waited for: it would take a minute.
    with probe_server("--delay", "60") as slow:
        process = running(slow, "--duration-stop", "wait")
        children = psutil.Process(process.pid).children(recursive=True)
        with process:
            process.send_signal(number)
            if number is signal.SIGINT:
                assert process.stderr
                assert "Ending the run." in process.stderr.readline()
                process.send_signal(number)
            stdout, _ = process.communicate(timeout=SECONDS / 2)
    assert (process.returncode, stdout) == (status, "")
    assert children
    eventually(lambda: not any(child.is_running() for child in children))


def test_how_a_run_goes_is_shown_on_a_terminal_alone(probe: Probe) -> None:
    """On stderr, so that the report can go elsewhere."""
    ours, theirs = pty.openpty()
    command = [*COMMAND, *ECHO, "-z", "1s", "-c", "2", "-r", "50", "-O", "json", probe.target]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=env) as process:
        stdout, _ = process.communicate(timeout=SECONDS)
    os.close(theirs)
    shown = os.read(ours, 1 << 20).decode()
    os.close(ours)
    assert json.loads(stdout)["endReason"] == "timeout"
    assert " calls  " in shown
    assert "/s  p95 " in shown
    assert patron_load(*ECHO, "-n", "5", "-c", "1", probe.target).stderr == ""


def test_help_tells_of_every_option() -> None:
    """Under headings, without the negations of switches; the version is told too."""
    shown = patron_load("--help").stdout
    flags = [f"--{option.key}" for option in OPTIONS if not option.is_argument]
    assert [flag for flag in flags if f"{flag} " not in shown and f"{flag}\n" not in shown] == []
    assert "How much, and for how long:" in shown
    assert "--no-insecure" not in shown
    assert patron_load("-v").stdout.startswith("patron-load, version ")
