"""What is counted and measured, and how it is shown."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from server.call import Arm, set_arm
from server.interceptors.method import Method
from server.interceptors.metrics import Metrics
from server.metrics import Histogram, Readings
from server.metrics.event_loop import sampled_lag
from server.metrics.parts import (
    show_answers,
    show_flags,
    show_invalidations,
    show_limiters,
    show_load,
    show_pool,
    show_redis,
    show_shares,
)
from tests.support.chain_server import handled

_UNARY: Any = grpc.unary_unary_rpc_method_handler(lambda _request, _context: None)
GET_BILL = Method.describe("/patron.bill.v1.BillService/GetBill", _UNARY)
GET_SUMMARY = Method.describe("/patron.analytics.v1.AnalyticsService/GetSummary", _UNARY)
CHECK = Method.describe("/grpc.health.v1.Health/Check", _UNARY)
FAULTS = ("UNKNOWN", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED")


@given(st.lists(st.floats(0, 20) | st.sampled_from([0.5, 1.0, 2.0]), max_size=30))
def test_a_histogram_is_prometheus_own(values: list[float]) -> None:
    """A histogram without locks shows the very lines of Prometheus' own."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    histogram = Readings(ours).histogram("waits", "Waits.", (0.5, 1.0, 2.0))
    reference = prometheus_client.Histogram(
        "waits", "Waits.", buckets=(0.5, 1.0, 2.0), registry=theirs
    )
    for value in values:
        histogram.observe(value)
        reference.observe(value)

    expected = [line for line in lines(theirs) if "_created" not in line]
    assert lines(ours) == expected


def lines(registry: CollectorRegistry) -> list[str]:
    """Return what a scrape of the registry shows."""
    return generate_latest(registry).decode().splitlines()


async def test_counts_every_end_once() -> None:
    """Of many calls at once, each is counted where it began and with the code of its end."""
    registry = CollectorRegistry()
    ends = [None, grpc.StatusCode.NOT_FOUND, None, grpc.StatusCode.INTERNAL, None] * 20

    async def call(request: grpc.StatusCode | None, _context: object) -> bytes:
        await asyncio.sleep(0)
        if request is not None:
            raise grpc.aio.AbortError
        return b""

    measured = Metrics(registry, watched="reports").wrap(GET_BILL, call)
    contexts: list[Any] = [SimpleNamespace(code=lambda end=end: end) for end in ends]
    calls = [measured(end, context) for end, context in zip(ends, contexts, strict=True)]
    await asyncio.gather(*calls, return_exceptions=True)

    assert handled(registry, "GetBill") == {"OK": 60, "NOT_FOUND": 20, "INTERNAL": 20}
    labels = {"grpc_type": "unary", "grpc_service": GET_BILL.service, "grpc_method": "GetBill"}
    value = registry.get_sample_value
    assert value("grpc_server_started_total", labels) == 100
    assert value("grpc_server_handling_seconds_count", {**labels, "feature": "", "arm": ""}) == 100


@pytest.mark.parametrize(
    "method, arms",
    [
        (GET_BILL, {("", ""), ("reports", "treatment"), ("reports", "control")}),
        # Whoever lacks the feature of a gated method is refused.
        (GET_SUMMARY, {("", ""), ("customer-analytics", "treatment")}),
        (CHECK, {("", "")}),
    ],
    ids=lambda value: value.name if isinstance(value, Method) else "",
)
async def test_arms(method: Method, arms: set[tuple[str, str]]) -> None:
    """Ends are told apart by the arm of the call; each is there, as zero, before it happens."""
    registry = CollectorRegistry()

    async def call(request: Arm | None, _context: object) -> bytes:
        if request is not None:
            set_arm(request)
        return b""

    measured = Metrics(registry, watched="reports").wrap(method, call)
    zero = {(*arm, code): 0 for arm in arms for code in ("OK", *FAULTS)}
    assert ends(registry) == zero

    treatment = Arm(method.policy.feature or "reports", treatment=True)
    contexts: list[Any] = [SimpleNamespace()] * 3
    for request in [None, treatment, treatment]:
        await asyncio.create_task(measured(request, contexts.pop()))  # type: ignore[arg-type]
    if method is not CHECK:
        treated = (treatment.feature, "treatment", "OK")
        assert ends(registry) == {**zero, ("", "", "OK"): 1, treated: 2}


def ends(registry: CollectorRegistry) -> dict[tuple[str, str, str], int]:
    """Return how many calls ended, by feature, arm and code; the histogram has as many."""
    counts = {}
    for metric in registry.collect():
        for sample in metric.samples:
            labels = sample.labels
            if sample.name == "grpc_server_handled_total":
                key = (labels["feature"], labels["arm"], labels["grpc_code"])
                counts[key] = int(sample.value)
            elif sample.name == "grpc_server_handling_seconds_count":
                assert sample.value == counts[labels["feature"], labels["arm"], "OK"]
    return counts


def test_shows_faults_before_they_happen() -> None:
    """The codes that alerts watch are there before the first call, as zero; others appear later."""
    registry = CollectorRegistry()

    async def call(_request: object, _context: object) -> bytes:
        return b""

    Metrics(registry, watched="reports").wrap(GET_BILL, call)

    shown = {
        sample.labels["grpc_code"]: sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "grpc_server_handled_total"
    }
    assert shown == dict.fromkeys(("OK", *FAULTS), 0)


def test_buckets_hold_the_objectives() -> None:
    """How many calls took less than 50 ms and less than 2 s can be told exactly."""
    registry = CollectorRegistry()

    async def call(_request: object, _context: object) -> bytes:
        return b""

    Metrics(registry, watched="reports").wrap(GET_BILL, call)

    shown = generate_latest(registry).decode()
    assert 'le="0.05"' in shown
    assert 'le="2.0"' in shown


def test_readings_are_of_the_moment() -> None:
    """A part's numbers are read when the metrics are asked for, and not before."""
    registry = CollectorRegistry()
    readings = Readings(registry)
    pool = SimpleNamespace(idle_connections=2, busy_connections=1, max_connections=10)
    show_pool(readings, pool)
    name = "patron_database_connections"

    assert registry.get_sample_value(name, {"state": "busy"}) == 1
    pool.busy_connections = 3
    assert registry.get_sample_value(name, {"state": "busy"}) == 3
    assert registry.get_sample_value(name, {"state": "idle"}) == 2


class Answers(list[str]):
    """Answers in memory."""

    size = 7
    is_open = True


def test_parts() -> None:
    """Every number of every part is shown under its name."""
    registry = CollectorRegistry()
    readings = Readings(registry)
    counts = SimpleNamespace(
        local_hits=1,
        local_misses=2,
        shared_hits=3,
        shared_misses=4,
        fills_stored=5,
        fills_refused=6,
    )
    read = SimpleNamespace(asked=1, passed=2, refused=3, fallbacks=4)
    write = SimpleNamespace(asked=5, passed=6, refused=7, fallbacks=8)
    show_answers(readings, counts, Answers(["an answer"]))
    lag = Histogram(())
    lag.observe(0.1)
    show_invalidations(readings, SimpleNamespace(sent=8, pending=9), lag)
    show_redis(readings, SimpleNamespace(errors=17, breaker=SimpleNamespace(is_open=False)))
    show_limiters(readings, {"read": read, "write": write})
    load = SimpleNamespace(in_flight=18, streams=20)
    show_load(readings, load, SimpleNamespace(abandoned=22), max_in_flight=19, max_streams=21)

    shares = {"customer-analytics": 10, "segments": 0, "by-name": None}
    show_shares(readings, SimpleNamespace(share=shares.get), shares)
    show_flags(readings, SimpleNamespace(age=23.0))

    assert [line for line in lines(registry) if not line.startswith("#")] == [
        'patron_cache_requests_total{result="hit",tier="local"} 1.0',
        'patron_cache_requests_total{result="miss",tier="local"} 2.0',
        'patron_cache_requests_total{result="hit",tier="shared"} 3.0',
        'patron_cache_requests_total{result="miss",tier="shared"} 4.0',
        'patron_cache_fills_total{outcome="stored"} 5.0',
        'patron_cache_fills_total{outcome="refused"} 6.0',
        "patron_cache_entries 1.0",
        "patron_cache_bytes 7.0",
        "patron_cache_channel_up 1.0",
        'patron_cache_invalidations_total{direction="sent"} 8.0',
        'patron_cache_invalidations_total{direction="received"} 1.0',
        "patron_cache_invalidations_pending 9.0",
        "patron_redis_breaker_open 0.0",
        "patron_redis_errors_total 17.0",
        'patron_rate_limit_decisions_total{class="read",outcome="passed"} 2.0',
        'patron_rate_limit_decisions_total{class="write",outcome="passed"} 6.0',
        'patron_rate_limit_decisions_total{class="read",outcome="refused"} 3.0',
        'patron_rate_limit_decisions_total{class="write",outcome="refused"} 7.0',
        'patron_rate_limit_leases_total{class="read"} 1.0',
        'patron_rate_limit_leases_total{class="write"} 5.0',
        'patron_rate_limit_fallbacks_total{class="read"} 4.0',
        'patron_rate_limit_fallbacks_total{class="write"} 8.0',
        "patron_in_flight 18.0",
        "patron_background_tasks 22.0",
        "patron_in_flight_max 19.0",
        "patron_streams 20.0",
        "patron_streams_max 21.0",
        'patron_feature_rollout_percent{feature="customer-analytics"} 10.0',
        'patron_feature_rollout_percent{feature="segments"} 0.0',
        "patron_flags_age_seconds 23.0",
    ]


async def test_a_blocked_loop_is_late() -> None:
    """What keeps the event loop busy is seen as lag, until nobody watches any more."""
    lags: list[float] = []
    async with sampled_lag(lags.append):
        await asyncio.sleep(0.01)
        time.sleep(0.4)  # noqa: ASYNC251 - the loop is to be blocked
        await asyncio.sleep(0.01)
        assert max(lags) > 0.1
    seen = len(lags)
    await asyncio.sleep(0.15)

    assert len(lags) == seen
