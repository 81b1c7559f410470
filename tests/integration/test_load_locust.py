"""The plugin for locust, under locust itself."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from hdrh.histogram import HdrHistogram

from tests.support.probe import Probe, probe_server
from tests.support.prometheus import free_port

_ROOT: Final = Path(__file__).parents[2]
_FILE: Final = "tests/support/probe/locustfile.py"
_SECONDS: Final = 40


@contextmanager
def _locust(probe: Probe, *arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Lend a locust that runs; its workers end with it."""
    command = (sys.executable, "-m", "locust", "-f", _FILE, "--host", probe.target)
    with subprocess.Popen(
        [*command, "--only-summary", *arguments],
        cwd=_ROOT,
        env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _two_workers() -> Sequence[str]:
    port = str(free_port())
    listening = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port)
    return ("--processes", "2", *listening, "--master-host", "127.0.0.1", "--master-port", port)


def _until(tell: Callable[[], Any], expected: Any) -> Any:
    """Return what is told, as soon as it is what is expected."""
    end = time.monotonic() + _SECONDS
    while (told := tell()) != expected and time.monotonic() < end:
        time.sleep(0.05)
    return told


def _statuses(report: Any) -> Counter[str]:
    """Return how many calls ended how, as the probe tells of them."""
    told = Counter[str]()
    for call in report["patron"]["calls"]:
        assert call["count"] == sum(call["statuses"].values())
        name = call["call"].removeprefix("probe.v1.Probe.")
        for status, count in call["statuses"].items():
            told[f"{name} {'UNAVAILABLE' if status == 'Unavailable' else status}"] += count
    return told


def _measured(folder: Path) -> Mapping[str, Sequence[float]]:
    """Return how long the calls took that ended as OK, by name, as each process has seen them."""
    measured = defaultdict(list)
    for file in folder.iterdir():
        for line in file.read_text().splitlines():
            name, milliseconds, is_ok = line.split()
            if is_ok == "True":
                measured[name].append(float(milliseconds))
    return {name: sorted(values) for name, values in measured.items()}


def test_two_workers_tell_of_every_call_that_the_server_has_seen(tmp_path: Path) -> None:
    """Counts are the server's, percentiles those of all calls, and a broken threshold exits 99."""
    told = tmp_path / "report.json"
    (folder := tmp_path / "calls").mkdir()
    run = ("--headless", "-u", "4", "-r", "4", "--stop-timeout", "20", "Mixed")
    gates = ("--threshold", "p95<1m", "--threshold", "errors<1")
    with (
        probe_server("--fail-every", "10") as probe,
        _locust(
            probe,
            *(*_two_workers(), *run, *gates, "--patron-report", str(told)),
            CALLS_FOLDER=str(folder),
        ) as locust,
    ):
        assert _until(lambda: sum(probe.calls().values()) > 300, expected=True)
        locust.send_signal(signal.SIGINT)
        output, _ = locust.communicate(timeout=_SECONDS)
        assert locust.returncode == 99, output
        report = json.loads(told.read_text())
        ours = _statuses(report)

        def server() -> Counter[str]:
            # Who breaks a stream off has what it wanted; the server sees that it is gone.
            calls = Counter(probe.calls())
            calls["Repeat OK"] += calls.pop("Repeat CANCELLED", 0)
            return calls

        assert _until(server, ours) == ours
    assert "Traceback" not in output
    assert len(list(folder.iterdir())) == 2
    measured = _measured(folder)
    assert report["count"] == ours.total()
    assert [gate["outcome"] for gate in report["patron"]["gates"]] == ["pass", "fail"]
    for call in report["patron"]["calls"]:
        values, clock = measured[call["call"]], call["service"]
        assert clock["count"] == len(values)
        assert HdrHistogram.decode(clock["histogram"]).get_total_count() == len(values)
        for percentage in (50, 95, 99):
            exact = values[math.ceil(percentage / 100 * len(values)) - 1]
            assert clock["percentiles"][f"p{percentage}"] == pytest.approx(exact * 1e6, rel=0.001)


def test_calls_that_do_not_end_by_themselves_count_once_unless_they_are_ignored(
    tmp_path: Path,
) -> None:
    """A user that waits no longer, is stopped in a call, or holds a stream then, leaves nothing.

    A stream that has given all that was wanted counts as OK, even if its user stops just then.
    """
    told = tmp_path / "report.json"
    users = ("TooLate", "CutOff", "CutOffInSilence", "HasEnough")
    run = ("--headless", "-u", "12", "-r", "12", *users)
    with (
        probe_server() as probe,
        _locust(probe, *run, "--patron-report", str(told)) as locust,
    ):
        assert _until(lambda: probe.tell().messages_received, 12) == 12
        assert _until(probe.calls, {"Repeat CANCELLED": 6}) == {"Repeat CANCELLED": 6}
        locust.terminate()
        output, _ = locust.communicate(timeout=_SECONDS)
        assert locust.returncode == 1, output
        assert _until(probe.calls, {"Repeat CANCELLED": 12}) == {"Repeat CANCELLED": 12}
    assert "Traceback" not in output
    report = json.loads(told.read_text())
    assert report["statusCodeDistribution"] == {"OK": 3, "Unavailable": 3, "DeadlineExceeded": 3}
    assert report["errorDistribution"] == {
        "rpc error: code = Unavailable desc = the user was stopped": 3,
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded": 3,
    }


def test_a_stalled_server_shows_in_the_second_clock_and_ctrl_c_ends_in_a_report(
    tmp_path: Path,
) -> None:
    """What a user misses of its timetable counts from when it was meant; all is told in the end."""
    told = tmp_path / "report.json"
    run = ("--headless", "-u", "1", "Paced", "--threshold", "response.p90<200ms")
    report_as = ("--patron-report", str(told), "--patron-report-format", "pretty")
    with (
        probe_server("--stall-at", "20", "--stall", "0.5") as probe,
        _locust(probe, *run, *report_as) as locust,
    ):
        _until(lambda: probe.calls().get("Echo OK", 0) >= 100, expected=True)
        locust.send_signal(signal.SIGINT)
        output, _ = locust.communicate(timeout=_SECONDS)
        assert locust.returncode == 99, output
        assert "Traceback" not in output
        report = json.loads(told.read_text())
        # The answer to the last call may have come too late.
        assert probe.calls()["Echo OK"] - report["statusCodeDistribution"]["OK"] in (0, 1)
    ours = report["patron"]
    assert report["endReason"] == "cancel"
    assert ours["scheduled"]
    assert ours["late"] > 15
    assert ours["service"]["percentiles"]["p90"] < 200e6 < ours["response"]["percentiles"]["p90"]


@pytest.mark.slow
def test_the_web_page_shows_what_two_workers_do(tmp_path: Path) -> None:
    """A test is started and stopped on locust's page; the report comes when locust ends."""
    told = tmp_path / "report.json"
    port = str(free_port())
    web = ("--web-host", "127.0.0.1", "--web-port", port, "--stop-timeout", "1", "Paced")
    with (
        probe_server("--fast") as probe,
        _locust(probe, *_two_workers(), *web, "--patron-report", str(told)) as locust,
    ):

        def page(path: str, form: Mapping[str, str] | None = None) -> str:
            data = None if form is None else urlencode(form).encode()
            try:
                with urlopen(f"http://127.0.0.1:{port}/{path}", data, timeout=30) as answer:
                    text: str = answer.read().decode()
                    return text
            except URLError:
                return ""

        def shown() -> Any:
            return json.loads(page("stats/requests"))

        def ready() -> int:
            return sum(worker["state"] == "ready" for worker in shown()["workers"])

        assert _until(lambda: "<html" in page(""), expected=True)
        assert _until(ready, 2) == 2
        assert "Swarming started" in page("swarm", {"user_count": "2", "spawn_rate": "2"})
        assert _until(lambda: shown()["stats"][-1]["num_requests"] > 50, expected=True)
        assert "Test stopped" in page("stop", {})
        assert _until(ready, 2) == 2
        locust.terminate()
        output, _ = locust.communicate(timeout=_SECONDS)
        assert locust.returncode == 0, output
        assert json.loads(told.read_text())["count"] == probe.calls()["Echo OK"]


def test_an_import_does_nothing_where_locust_does_not_run() -> None:
    """Neither locust nor gevent, which would patch the standard library, is imported."""
    code = (
        "import sys, load.locust_plugin\n"
        "assert 'GrpcUser' in load.locust_plugin.__all__\n"
        "print(sorted({'gevent', 'grpc', 'locust'} & set(sys.modules)))"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=_ROOT)
    assert output == "[]\n"
