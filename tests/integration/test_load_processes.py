"""Processes that generate load: they begin together, tell everything, and leave nothing behind."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from load.engine import generate
from load.errors import ConfigError, LoadError, TargetError
from load.jobs import Pace, Ramp
from tests.support.load_jobs import Broken, Numbered, call_of, job_of, result_of, run_job
from tests.support.probe import Probe, probe_server

_ENDLESS = """
import sys, threading
from load.engine import generate
from tests.support.load_jobs import job_of

if __name__ == "__main__":
    for told in generate(job_of(sys.argv[1], processes=2, connections=2, workers=2),
                         cancel=threading.Event()):
        print(told.process, flush=True)
"""


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    """Lend a server that answers at once."""
    with probe_server() as server:
        yield server


def children() -> list[psutil.Process]:
    """Return the processes that generate load for this one."""
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE
        and "multiprocessing.spawn" in " ".join(child.cmdline())
    ]


def test_processes_share_the_calls(probe: Probe) -> None:
    """Each number is made once, by workers of all processes, on connections of their own."""
    before = probe.tell().connections
    job = job_of(
        probe.target,
        call_of(source=Numbered()),
        workers=6,
        total=500,
        connections=3,
        processes=2,
        rate=Ramp(start=1500),
    )
    result = run_job(job)
    told = probe.tell()
    assert result.statuses == {"OK": 500}
    seen = [one.request for one in told.seen][-500:]
    assert sorted(request.big_number for request in seen) == [*range(500)]
    assert {request.name for request in seen} == {f"g{n}c{n % 3}" for n in range(6)}
    assert told.connections - before == 3
    assert [end.reason for end in result.ends] == ["normal", "normal"]
    assert sum(end.messages_sent for end in result.ends) == 500
    assert all(1 / 4 < end.seconds < 2 for end in result.ends)
    assert not children()


def test_a_run_that_is_cancelled(probe: Probe) -> None:
    """It ends at once, as if its time were over; Ctrl-C alone does nothing to the processes."""
    cancel = threading.Event()
    told = []
    job = job_of(probe.target, workers=2, connections=2, processes=2)
    for one in generate(job, cancel=cancel):
        for child in children():
            child.send_signal(signal.SIGINT)
        told.append(one)
        if len(told) >= 3:
            cancel.set()
    result = result_of(told)
    assert [end.reason for end in result.ends] == ["cancel", "cancel"]
    assert set(result.statuses) <= {"OK", "Unavailable"}


@pytest.mark.fault
def test_a_process_that_is_killed_is_told(probe: Probe) -> None:
    """A run without one of its processes is none; the others are ended."""
    job = job_of(probe.target, connections=2, processes=2, workers=2)
    told = generate(job, cancel=threading.Event())
    next(told)
    children()[0].kill()
    with pytest.raises(LoadError, match="SIGKILL"):
        result_of(told)
    assert not children()


@pytest.mark.fault
def test_processes_die_with_who_started_them(probe: Probe) -> None:
    """However the run is ended: no process goes on without the one that started it."""
    with subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, probe.target], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline()
        started = psutil.Process(parent.pid).children(recursive=True)
        assert len(started) >= 2
        parent.kill()
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


def test_data_that_makes_no_message_ends_all_processes(probe: Probe) -> None:
    """One process tells why it could not go on; the others stop."""
    call = call_of(source=Broken())
    job = job_of(probe.target, call, workers=2, connections=2, processes=2, rate=Ramp(start=20))
    result = run_job(job)
    assert set(result.statuses) <= {"OK"}
    assert result.count <= 3
    assert "no message can be made of it" in {end.failure for end in result.ends}


def test_a_server_that_is_not_there() -> None:
    """It is told at once, with the reason; nothing is counted."""
    begun = time.monotonic()
    with pytest.raises(TargetError, match=r"127\.0\.0\.1:1 .*refused"):
        run_job(job_of("127.0.0.1:1", connections=2, processes=2, total=10))
    assert time.monotonic() - begun < 5
    assert not children()


@pytest.mark.parametrize(
    "pace",
    [
        Pace(Ramp(start=1), rate=Ramp(start=5), pause=(1, 2)),
        Pace(Ramp(start=1), rate=Ramp(start=5), every=1),
        Pace(Ramp(start=1), pause=(1, 2), every=1),
        Pace(Ramp(start=1), pause=(1, 2), asynchronous=True),
    ],
)
def test_a_pace_that_contradicts_itself(pace: Pace) -> None:
    """It is refused before anything is started."""
    job = job_of("127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"both|leave out"):
        next(generate(type(job)(job.target, job.calls, pace), cancel=threading.Event()))
