"""The plugin for locust, without locust where it can be: to import that patches the process."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest

from load.locust_plugin.pacing import constant_pacing, constant_throughput, take_meant
from load.locust_plugin.rows import Rows
from load.locust_plugin.session import Session
from load.report.model import Report

_ROOT: Final = Path(__file__).parents[2]


class _User:
    pass


class _Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_a_timetable_is_kept_whatever_calls_take() -> None:
    """What is late is meant to begin when it was, and only once; then nobody waits."""
    user, other = _User(), _User()
    wait_time = constant_pacing(0.02)
    before = time.perf_counter()
    assert wait_time(user) == pytest.approx(0.02)
    first = take_meant(user)
    assert first is not None
    assert before + 0.02 <= first <= time.perf_counter() + 0.02
    assert take_meant(user) is None
    time.sleep(0.1)
    assert [wait_time(user) for _ in range(3)] == [0, 0, 0]
    assert take_meant(user) == pytest.approx(first + 3 * 0.02)
    assert wait_time(other) > 0


def test_the_timetable_of_a_set_of_tasks_is_its_own_but_its_user_calls() -> None:
    """A call is late by the timetable of the task that makes it."""
    tasks: Any = _User()
    tasks.user = _User()
    wait_time = constant_throughput(1000)
    wait_time(tasks)
    assert take_meant(tasks) is None
    assert take_meant(tasks.user) is not None


@pytest.mark.parametrize("wrong", [0, -1])
def test_a_pace_that_is_none_is_refused(wrong: float) -> None:
    """A user cannot call every 0 seconds, or 0 times a second."""
    with pytest.raises(ValueError, match="positive"):
        constant_pacing(wrong)
    with pytest.raises(ValueError, match="positive"):
        constant_throughput(wrong)


def _add(rows: Rows, milliseconds: float, index: int) -> None:
    failed = index % 7 == 0
    rows.add(
        request_type="unary" if index % 2 else "GET",
        name="probe.v1.Probe.Echo" if index % 2 else "/health",
        response_time=milliseconds,
        response_length=1,
        exception=ValueError(f"no {index % 3}") if failed else None,
        context={"status": "Internal" if failed else "OK", "time_since_meant": 2 * milliseconds}
        if index % 2
        else {},
    )


def _report(session: Session) -> Report:
    return session.report({}, reason="normal", warnings=())


def test_parts_of_several_processes_come_to_what_one_would_have_told() -> None:
    """Histograms of both clocks, percentiles, statuses and errors are the same, bit by bit."""
    chance = random.Random(1)
    one, several = Session(), Session()
    everything, processes = Rows(), [Rows() for _ in range(3)]
    for index in range(3_000):
        milliseconds = chance.lognormvariate(2, 1)
        _add(everything, milliseconds, index)
        process = chance.randrange(3)
        _add(processes[process], milliseconds, index)
        if chance.random() < 0.01:
            several.add(f"worker {process}", processes[process].take())
    one.add("alone", everything.take())
    for number, rows in enumerate(processes):
        several.add(f"worker {number}", rows.take())
        # A process that has nothing to tell says nothing.
        several.add(f"worker {number}", rows.take())
    whole, merged = _report(one), _report(several)
    assert merged.patron is not None
    assert whole.patron is not None
    assert merged.count == 3_000
    assert merged.patron.processes == 3
    assert merged.patron.scheduled
    assert merged.patron.service == whole.patron.service
    assert merged.patron.response == whole.patron.response
    assert merged.error_distribution == whole.error_distribution
    assert merged.status_code_distribution == whole.status_code_distribution
    assert merged.latency_distribution == whole.latency_distribution
    calls = {call.call: (call.service, call.errors) for call in merged.patron.calls}
    assert calls == {call.call: (call.service, call.errors) for call in whole.patron.calls}
    assert set(calls) == {"probe.v1.Probe.Echo", "GET /health"}


@pytest.mark.parametrize(
    "context",
    [None, {}, {"status": 200, "messages_sent": "many", "time_since_meant": "noon"}, [1], object()],
)
@pytest.mark.parametrize("request_type", ["GET", "unary"])
def test_events_of_other_users_are_calls_whatever_their_context_is(
    request_type: str, context: object
) -> None:
    """They end as OK or Unknown, by whether they failed, and harm no call beside them."""
    rows, session = Rows(), Session()
    _add(rows, 5, 1)
    rows.add(request_type, "/health", 3, context=context)
    rows.add(request_type, "/health", None, exception="refused", context=context, response=None)
    _add(rows, 5, 7)
    session.add("local", rows.take())
    report = _report(session)
    assert report.status_code_distribution == {"OK": 2, "Unknown": 1, "Internal": 1}
    assert report.error_distribution == {"refused": 1, "no 1": 1}


@pytest.mark.parametrize("wrong", [{"response_time": 1e30}, {"exception": _Unspeakable()}])
def test_an_event_that_cannot_be_kept_leaves_nothing(wrong: dict[str, Any]) -> None:
    """Its listener raises, of which locust tells; the calls around it are reported."""
    rows, session = Rows(), Session()
    event: dict[str, Any] = {"request_type": "GET", "name": "/wrong", "response_time": 1.0, **wrong}
    with pytest.raises((OverflowError, RuntimeError)):
        rows.add(**event)
    session.add("local", rows.take())
    _add(rows, 5, 1)
    with pytest.raises((OverflowError, RuntimeError)):
        rows.add(**event)
    _add(rows, 5, 7)
    session.add("local", rows.take())
    report = _report(session)
    assert report.status_code_distribution == {"OK": 1, "Internal": 1}
    assert report.patron is not None
    assert [call.call for call in report.patron.calls] == ["probe.v1.Probe.Echo"]


_SHAPES: Final = """
import json, sys
from load.errors import ConfigError
from load.locust_plugin import GhzShape, GrpcUser
from load.locust_plugin.users import check_users

class FromFile(GhzShape):
    config = sys.argv[1]

class Falling(GhzShape):
    concurrency_schedule, concurrency_start, concurrency_end, concurrency_step = "line", 5, 2, -2

class Constant(FromFile):
    concurrency_schedule, concurrency = "const", 7

def users(shape, seconds):
    told = []
    shape.reset_time()
    for second in seconds:
        shape.get_run_time = lambda: second
        told.append(shape.tick())
    return told

class Wrong(GrpcUser):
    timeout = "5"

class Waits(GrpcUser):
    duration_stop = "wait"

class Unreadable(GrpcUser):
    cacert = "/nowhere/ca.pem"

class Rendered(GrpcUser):
    metadata = {"request": "{{.RequestNumber}}"}

class Right(GrpcUser):
    connections = 100
    config = sys.argv[1]

def refused(user_class, host):
    try:
        check_users([user_class], host)
    except ConfigError as error:
        return str(error)
    return None

shape = FromFile()
print(json.dumps({
    "file": [users(shape, [0, 0.9, 1.1, 2.1, 3.1, 9.9, 10]), users(shape, [2.5])],
    "falling": users(Falling(), [0, 1, 2, 1000]),
    "constant": users(Constant(), [0, 9, 11]),
    "refused": [refused(each, "x:1") for each in (Wrong, Waits, Unreadable, Rendered, Right)],
    "later": refused(Unreadable, None),
}))
"""


def test_shapes_follow_the_schedules_of_ghz_and_bad_options_are_named(tmp_path: Path) -> None:
    """Steps are those of a configuration, over which attributes win; a test ends with its time."""
    config = tmp_path / "ghz.json"
    steps = {"schedule": "step", "start": 2, "end": 6, "step": 2, "step-duration": "1s"}
    options = {f"concurrency-{key}": value for key, value in steps.items()} | {"duration": "10s"}
    config.write_text(json.dumps(options))
    command = [sys.executable, "-c", _SHAPES, str(config)]
    told = json.loads(subprocess.check_output(command, text=True, cwd=_ROOT))
    two, four, six = [2, 2.0], [4, 2.0], [6, 2.0]
    assert told["file"] == [[two, two, four, six, six, six, None], [[6, 6.0]]]
    assert told["falling"] == [[5, 5.0], [3, 2.0], [2, 1.0], [2, 1.0]]
    assert told["constant"] == [[7, 7.0], [7, 7.0], None]
    wrong, waits, unreadable, rendered, right = told["refused"]
    assert wrong.startswith("Wrong: timeout: '5'")
    assert waits.startswith("Waits: duration-stop: ")
    assert unreadable.startswith("Unreadable: cacert: cannot read /nowhere/ca.pem")
    assert rendered.startswith("Rendered: metadata: ")
    assert right is told["later"] is None
