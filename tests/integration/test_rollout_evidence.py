"""The evidence, as a real Prometheus has it."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from flags.rollout.evidence import Calls, EvidenceMissing, Span
from flags.rollout.plan import Query
from flags.rollout.prometheus import PrometheusEvidence
from tests.support.prometheus import Prometheus, free_port, needs_prometheus, prometheus, scraped
from tests.support.rollout_ports import FLAG, PLAN

GATED = "patron.analytics.v1.AnalyticsService"
OTHER = "patron.bill.v1.BillService"


class Shown:
    """The metrics of a server, as Patron shows them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        of_call = ["grpc_type", "grpc_service", "grpc_method", "feature", "arm"]
        self._ended = Counter(
            "grpc_server_handled", "x", [*of_call, "grpc_code"], registry=self.registry
        )
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "x",
            of_call,
            buckets=(0.1, 1, 2, 5),
            registry=self.registry,
        )
        self.merchants = Gauge(
            "patron_unexpected_error_merchants",
            "x",
            ["kind", "feature", "arm"],
            registry=self.registry,
        )
        self.errors = Counter(
            "patron_unexpected_errors", "x", ["kind", "feature", "arm"], registry=self.registry
        )
        self.ratings = Counter(
            "patron_feedback_ratings", "x", ["feature", "arm", "rating"], registry=self.registry
        )

    def ended(self, service: str, arm: str, count: int, code: str = "OK") -> None:
        """Count calls that ended."""
        self._ended.labels("unary", service, "Do", FLAG, arm, code).inc(count)

    def took(self, service: str, arm: str, count: int, seconds: float) -> None:
        """Count how long calls took."""
        timed = self._seconds.labels("unary", service, "Do", FLAG, arm)
        for _ in range(count):
            timed.observe(seconds)


class Scene:
    """What Prometheus has seen: nothing of a kind before, then calls."""

    def __init__(self, prometheus: Prometheus, evidence: PrometheusEvidence, span: Span) -> None:
        self.prometheus = prometheus
        self.evidence = evidence
        self.span = span


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scene() -> AsyncIterator[Scene]:
    """Lend a Prometheus that has seen some seconds of two arms."""
    shown = Shown()

    def count(times: int) -> None:
        for arm, failed in (("treatment", 30), ("control", 3)):
            shown.ended(OTHER, arm, 300 * times)
            shown.ended(OTHER, arm, failed * times, "INTERNAL")
            shown.ended(OTHER, arm, 9 * times, "NOT_FOUND")
            shown.took(OTHER, arm, 100 * times, 0.5)
        shown.ended(GATED, "treatment", 40 * times)
        shown.ended(GATED, "control", 70 * times, "FAILED_PRECONDITION")
        shown.took(GATED, "treatment", 40 * times, 3)
        shown.ratings.labels(FLAG, "treatment", "5").inc(20 * times)

    # Series that appear with their first count would have none before to rise from.
    count(0)
    for kind, merchants in (("TypeError", 0), ("MendedError", 5)):
        shown.merchants.labels(kind, FLAG, "treatment").set(merchants)
        shown.errors.labels(kind, FLAG, "treatment").inc(merchants)
    with (
        scraped(shown.registry) as address,
        # What another job scrapes is not the service's own.
        prometheus({"patron": [address], "staging": [address]}) as running,
    ):
        await asyncio.to_thread(running.wait_for_targets, 2)
        await asyncio.sleep(2)
        count(1)
        for kind, arm, merchants in (("KeyError", "control", 2), ("ValueError", "treatment", 4)):
            shown.merchants.labels(kind, FLAG, arm).set(merchants)
            shown.errors.labels(kind, FLAG, arm).inc(merchants)
        await asyncio.sleep(2.5)
        now = time.time()
        evidence = PrometheusEvidence(PLAN, running.url, patience=5)
        yield Scene(running, evidence, Span(now - 60, now))


@needs_prometheus
async def test_what_was_counted(scene: Scene) -> None:
    """Each arm's calls, durations, errors and ratings are whole numbers, near the true ones."""
    evidence, readings = await scene.evidence.gather(scene.span, None)

    def near(count: int) -> Any:
        # Prometheus extrapolates to the ends of the span.
        return pytest.approx(count, rel=0.35)

    assert evidence.treatment.ended == near(339)
    assert evidence.treatment.failed == near(30)
    assert evidence.control.failed == near(3)
    assert evidence.control.timed == near(100)
    assert evidence.control.within[0.1] == 0
    assert evidence.control.within[1.0] == evidence.control.timed
    assert evidence.gated == Calls(near(40), 0, near(40), {0.1: 0, 1.0: 0, 2.0: 0, 5.0: near(40)})
    assert evidence.error_merchants["ValueError"] == 4
    assert evidence.ratings == {5: near(20)}
    assert [reading.query for reading in readings[: len(Query)]] == [
        PLAN.queries[query].replace("$window", "60s") for query in Query
    ]
    assert "control INTERNAL: 3" in readings[2].answer


@needs_prometheus
async def test_the_span_before_is_the_control_when_all_are_in(scene: Scene) -> None:
    """It is both arms' calls of then, by a query that says when."""
    later = Span(scene.span.until + 60, scene.span.until + 90)
    evidence, readings = await scene.evidence.gather(later, scene.span)

    assert evidence.treatment.ended == evidence.gated.ended == 0
    assert evidence.control.failed == pytest.approx(33, rel=0.35)
    assert "# at 20" in readings[len(Query)].query
    assert len(readings) == len(Query) + 2 + 2


@needs_prometheus
async def test_the_breaker_counts_all_methods_of_the_treatment(scene: Scene) -> None:
    """Gated and other ones together."""
    burnt = await scene.evidence.burned(scene.span)
    assert burnt.ended == pytest.approx(379, rel=0.35)
    assert burnt.failed == pytest.approx(30, rel=0.35)


@needs_prometheus
async def test_a_mended_bug_counts_no_more(scene: Scene) -> None:
    """Its merchants are remembered, but it did not happen in the span that is judged."""
    since = scene.span.until - 4
    evidence, _ = await scene.evidence.gather(Span(since, scene.span.until), None)
    assert evidence.error_merchants == {"ValueError": 4}


@needs_prometheus
async def test_both_arms_over_time(scene: Scene) -> None:
    """Error rate and quantile of each step; None where nothing was called; what is gated apart."""
    now = scene.span.until
    arms = await scene.evidence.arms(now, now + 120, 60)
    first, *others = arms["treatment"]
    assert first.at == pytest.approx(now)
    assert first.error_rate == pytest.approx(30 / 339, rel=0.1)
    assert first.slow_seconds == pytest.approx(0.1 + 0.95 * 0.9)
    assert [point.error_rate for point in others if not point.ended] == [None] * len(others)
    assert arms["control"][0].error_rate == pytest.approx(3 / 312, rel=0.1)
    gated = arms["feature"][0]
    assert gated.error_rate == 0
    assert gated.slow_seconds == pytest.approx(2 + 0.95 * 3)
    assert await scene.evidence.arms(now - 7200, now - 3600, 60) == {
        "feature": (),
        "treatment": (),
        "control": (),
    }


@needs_prometheus
async def test_nobody_calls(scene: Scene) -> None:
    """An empty answer of a Prometheus that scrapes is no call, and the reading says so."""
    later = scene.span.until
    plan = replace(PLAN, queries={query: f"nothing_of_{query}[$window]" for query in Query})
    plan = replace(plan, queries={q: f"sum_over_time({t})" for q, t in plan.queries.items()})
    evidence, readings = await PrometheusEvidence(plan, scene.prometheus.url).gather(
        Span(later - 1, later), None
    )
    assert evidence.gated == evidence.treatment == evidence.control == Calls(0, 0, 0, {})
    assert [reading.answer for reading in readings[:-2]] == ["none"] * len(Query)
    assert readings[-2].answer.endswith(": 1")


@needs_prometheus
@pytest.mark.parametrize(
    "query, text, words",
    [
        (Query.GATED_ENDED, "sum(", "refuses the query: invalid parameter"),
        (Query.RATINGS, "vector(3)", "is by nothing, not by rating"),
        (Query.RATINGS, 'label_replace(vector(3), "rating", "6", "", "")', "makes no sense"),
        (Query.GATED_ENDED, 'label_replace(vector(-1), "grpc_code", "OK", "", "")', "no sense"),
        (Query.GATED_ENDED, 'label_replace(vector(0/0), "grpc_code", "OK", "", "")', "not finite"),
        (Query.GATED_SECONDS, 'label_replace(vector(3), "le", "2", "", "")', "no bucket +Inf"),
        (Query.GATED_SECONDS, 'label_replace(vector(3), "le", "two", "", "")', "makes no sense"),
        (Query.ERROR_MERCHANTS, "1", "is no vector"),
    ],
)
async def test_nonsense_is_no_evidence(scene: Scene, query: Query, text: str, words: str) -> None:
    """It is not taken for zero, and the readings tell of the other queries too."""
    plan = replace(PLAN, queries={**PLAN.queries, query: text})
    with pytest.raises(EvidenceMissing) as raised:
        await PrometheusEvidence(plan, scene.prometheus.url).gather(scene.span, None)

    assert words in str(raised.value).replace("\\", "")
    assert [r.query for r in raised.value.readings if r.answer == str(raised.value)] == [text]
    assert len(raised.value.readings) == len(Query)


@contextmanager
def answering(status: int, body: bytes, delay: float = 0) -> Iterator[str]:
    """Lend the URL of something that is no Prometheus, and answers this."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            time.sleep(delay)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://anna:secret@127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "status, body, delay, words",
    [
        (200, b"", 0.6, ": timed out"),
        (502, b"<html>", 0, "status 502 and no answer of its API"),
        (200, json.dumps({"status": "success"}).encode(), 0, "is no vector"),
        (
            200,
            b'{"status": "success", "warnings": ["half of it is gone"], "data": null}',
            0,
            "warns: half of it is gone",
        ),
        (
            200,
            b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}',
            0,
            "makes no sense",
        ),
    ],
)
async def test_no_answer_is_no_evidence(status: int, body: bytes, delay: float, words: str) -> None:
    """Whatever is wrong with an answer, it is told without the secrets of the address."""
    with answering(status, body, delay) as url:
        evidence = PrometheusEvidence(PLAN, url, patience=0.3)
        for ask in (
            evidence.gather(Span(0, 60), None),
            evidence.burned(Span(0, 60)),
            evidence.require_servers(60),
            evidence.known_kinds(60, accepted_since=None),
        ):
            with pytest.raises(EvidenceMissing) as raised:
                await ask
            assert words in str(raised.value)
            assert "secret" not in str(raised.value)


async def test_a_prometheus_that_is_gone_is_no_evidence() -> None:
    """The reading says so."""
    url = f"http://127.0.0.1:{free_port()}"
    evidence = PrometheusEvidence(PLAN, url)
    with pytest.raises(EvidenceMissing) as raised:
        await evidence.gather(Span(0, 60), None)
    answers = {reading.answer for reading in raised.value.readings}
    assert answers == {f"Prometheus does not answer at {url}: connection refused"}
    with pytest.raises(EvidenceMissing):
        await evidence.arms(0, 60, 10)
