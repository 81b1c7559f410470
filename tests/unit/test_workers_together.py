"""The metrics and the health of several workers as one."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from server.admin import AdminServer
from server.health import HealthReport
from server.workers import WorkersCollector, workers_health
from server.workers.fetch import fetch
from server.workers.slot import WorkerStatus


def worker_registry(number: int) -> CollectorRegistry:
    """Return the metrics of a worker that has had some calls."""
    registry = CollectorRegistry()
    calls = Counter("calls", "Calls.", ["method"], registry=registry)
    calls.labels('A "b"\\c').inc(number + 1)
    Histogram("seconds", "Seconds.", buckets=[1], registry=registry).observe(number)
    return registry


@pytest.fixture
def workers() -> Iterator[list[WorkerStatus]]:
    """Run the admin servers of two workers, 1 without its database; three more have none."""
    with ExitStack() as stack:
        admins = [
            stack.enter_context(
                AdminServer(
                    registry=worker_registry(number),
                    health=partial(HealthReport, number == 0, {"database": number == 0}),
                )
            ).address
            for number in range(2)
        ]
        with socket.create_server(("127.0.0.1", 0)) as closed:
            gone = f"127.0.0.1:{closed.getsockname()[1]}"
        yield [
            WorkerStatus(0, os.getpid(), ready=True, admin=admins[0], restarts=3),
            WorkerStatus(1, os.getpid(), ready=True, admin=admins[1], restarts=0),
            WorkerStatus(2, 2**22 + 1, ready=True, admin=gone, restarts=0),
            WorkerStatus(3, os.getpid(), ready=False, admin=None, restarts=1),
            WorkerStatus(4, None, ready=False, admin=None, restarts=7),
        ]


def test_every_series_has_its_worker(workers: list[WorkerStatus]) -> None:
    """Each worker's series come back as they are, with its number; who doesn't answer has none."""
    registry = CollectorRegistry()
    registry.register(WorkersCollector(lambda: workers))
    merged = generate_latest(registry).decode()

    value = registry.get_sample_value
    for number in range(2):
        label = {"worker": str(number)}
        assert value("calls_total", {"method": 'A "b"\\c', **label}) == number + 1
        assert value("seconds_sum", label) == number
        assert value("seconds_bucket", {"le": "1.0", **label}) == 1
    assert merged.count("\ncalls_total{") == 2
    assert merged.count("# TYPE calls_total counter") == 1
    assert merged.count("# TYPE seconds histogram") == 1


def test_the_supervisor_tells_of_all(workers: list[WorkerStatus]) -> None:
    """Of each worker it is known whether it is ready, how often it was replaced, and its memory."""
    registry = CollectorRegistry()
    registry.register(WorkersCollector(lambda: workers))

    def of_all(name: str) -> list[float | None]:
        return [registry.get_sample_value(name, {"worker": str(number)}) for number in range(5)]

    assert of_all("patron_worker_up") == [1, 1, 1, 0, 0]
    assert of_all("patron_worker_restarts_total") == [3, 0, 0, 1, 7]
    memory = of_all("patron_worker_resident_memory_bytes")
    assert [bytes_ is not None and bytes_ > 1e6 for bytes_ in memory] == [
        *(True, True, False, True, False)
    ]


def test_one_well_worker_is_enough(workers: list[WorkerStatus]) -> None:
    """Health is that of the best worker, and tells what each says of itself."""
    report = workers_health(workers)
    assert report.well
    assert json.loads(json.dumps(report.details())) == {
        "workers": {
            "0": {"status": "ok", "parts": {"database": "ok"}},
            "1": {"status": "failing", "parts": {"database": "failing"}},
            "2": {"status": "not answering"},
            "3": {"status": "not ready"},
            "4": {"status": "not ready"},
        }
    }
    assert report.status == "ok"
    assert not workers_health(workers[1:]).well
    assert workers_health(workers[1:]).status == "failing"
    assert not workers_health([]).well


def test_a_server_that_stops_is_draining() -> None:
    """Workers that were told to stop are no failure, though nobody shall call them."""
    stopping = WorkerStatus(
        0, os.getpid(), ready=False, admin="127.0.0.1:1", restarts=0, draining=True
    )
    report = workers_health([stopping])
    assert not report.well
    assert report.status == "draining"
    assert report.details() == {"workers": {"0": {"status": "draining"}}}


def test_a_worker_that_hangs_is_not_waited_for() -> None:
    """Who takes the connection and then says nothing is left out in the end."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        admin = f"127.0.0.1:{silent.getsockname()[1]}"
        hanging = WorkerStatus(0, os.getpid(), ready=True, admin=admin, restarts=0)
        assert fetch([hanging], "/metrics", patience=0.2) == {}
