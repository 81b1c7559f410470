"""Which share the workers decide by, as their metrics say."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry, Gauge

from flags.rollout.sightings import (
    Sighting,
    WorkersAt,
    WorkersOfPrometheus,
    WorkersUnknown,
    wait_until_seen,
)
from tests.support.prometheus import needs_prometheus, prometheus, scraped
from tests.support.waiting import until

NOWHERE = "127.0.0.1:1"


class Page:
    """What is served at one address."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.asked: list[str] = []
        self.users: list[str | None] = []
        self.port = 0

    def next(self) -> str:
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


@contextmanager
def served(*texts: str) -> Iterator[Page]:
    """Serve texts on a free port, one after the other; the last for ever."""
    page = Page(*texts)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.asked.append(self.path)
            page.users.append(self.headers["Authorization"])
            body = page.next().encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        page.port = server.server_port
        try:
            yield page
        finally:
            server.shutdown()
            thread.join()


def metrics(**workers: float | None) -> str:
    """Return the metrics of a supervisor whose workers let in so many percent; None: unknown."""
    lines = [f'patron_worker_up{{worker="{name[1:]}"}} 1' for name in workers]
    for name, percent in workers.items():
        if percent is not None:
            labels = f'feature="f",worker="{name[1:]}"'
            lines.append(f"patron_feature_rollout_percent{{{labels}}} {percent}")
    lines.append('patron_feature_rollout_percent{feature="g",worker="1"} 100')
    return "\n".join(lines) + "\n"


async def test_each_worker_of_each_target_is_told() -> None:
    """One that is up but doesn't say its share, and an address that is closed, say nothing."""
    with (
        served(metrics(w1=10, w2=50, w10=None)) as many,
        served('patron_feature_rollout_percent{feature="f"} 10\n') as one,
    ):
        targets = [f"127.0.0.1:{many.port}", f"127.0.0.1:{one.port}", NOWHERE]
        assert await WorkersAt(targets).ask("f") == [
            Sighting(f"{targets[0]} worker 1", 10),
            Sighting(f"{targets[0]} worker 2", 50),
            Sighting(f"{targets[0]} worker 10", None),
            Sighting(targets[1], 10),
            Sighting(NOWHERE, None),
        ]


async def test_the_wait_ends_when_all_have_seen_it() -> None:
    """It asks until the last worker follows, and tells each time; lower is as good."""
    told: list[list[Sighting]] = []
    with served(metrics(w1=50, w2=50), metrics(w1=5, w2=50), metrics(w1=5, w2=10)) as page:
        workers = WorkersAt([f"127.0.0.1:{page.port}"])
        assert await wait_until_seen(workers, "f", 10, patience=30, tell=told.append)
    assert [[each.is_at_most(10) for each in once] for once in told] == [
        [False, False],
        [True, False],
        [True, True],
    ]


async def test_the_wait_has_a_bound() -> None:
    """A worker that doesn't follow is waited for no longer than was asked for."""
    with served(metrics(w1=10, w2=50)) as page:
        workers = WorkersAt([f"127.0.0.1:{page.port}"])
        assert not await wait_until_seen(workers, "f", 10, patience=0.6, tell=lambda _: None)
    assert len(page.asked) == 2
    assert not await wait_until_seen(WorkersAt([]), "f", 10, patience=0, tell=lambda _: None)


def answer(*series: dict[str, object]) -> str:
    """Return an answer of Prometheus."""
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}})


@pytest.mark.parametrize("text", [answer(), "<html>", '{"data": {"result": [{}]}}', "[]"])
async def test_prometheus_may_not_know(text: str) -> None:
    """No worker is not all workers, and an answer of somebody else is none."""
    with served(text) as page, pytest.raises(WorkersUnknown):
        await WorkersOfPrometheus(f"http://127.0.0.1:{page.port}").ask("f")
    with pytest.raises(WorkersUnknown, match="does not answer"):
        await WorkersOfPrometheus(f"http://{NOWHERE}").ask("f")


async def test_prometheus_is_told_who_asks() -> None:
    """The user and the password of its address are sent, and are in no error."""
    with served("<html>") as page, pytest.raises(WorkersUnknown) as raised:
        await WorkersOfPrometheus(f"http://anna:secret@127.0.0.1:{page.port}/prefix").ask("f")
    assert page.asked == ["/prefix/api/v1/query"]
    assert page.users == ["Basic " + base64.b64encode(b"anna:secret").decode()]
    assert "secret" not in str(raised.value)


class Metrics:
    """What a server shows: which workers are up, and by which share each decides."""

    def __init__(self, *, label: bool = True) -> None:
        self.registry = CollectorRegistry()
        worker = ["worker"] if label else []
        self.up = Gauge("patron_worker_up", "x", worker, registry=self.registry)
        labels = ["feature", *worker]
        name = "patron_feature_rollout_percent"
        self.shares = Gauge(name, "x", labels, registry=self.registry)


@needs_prometheus
async def test_prometheus_is_asked_about_all_workers() -> None:
    """A server that is not scraped, and a worker that is silent since, have seen nothing."""
    many, one, staging = Metrics(), Metrics(label=False), Metrics()
    for metrics, number, share in ((many, "1", 10), (many, "2", 50), (staging, "1", 100)):
        metrics.up.labels(number).set(1)
        metrics.shares.labels("f", number).set(share)
    many.up.labels("3").set(1)
    many.shares.labels("g", "3").set(10)
    one.registry.unregister(one.up)
    one.shares.labels("f").set(10)
    with ExitStack() as stack:
        addresses = [stack.enter_context(scraped(each.registry)) for each in (many, one, staging)]
        targets = {"patron": [*addresses[:2], NOWHERE], "staging": addresses[2:]}
        monitor = stack.enter_context(prometheus(targets))
        await asyncio.to_thread(monitor.wait_for_targets, 3)
        workers = WorkersOfPrometheus(monitor.url)
        before = await workers.ask("f")
        names = [f"{addresses[0]} worker {number}" for number in "123"] + [addresses[1], NOWHERE]
        # All that it knows was scraped before anybody asked.
        assert sorted(each.worker for each in before) == sorted(names)
        assert {each.percent for each in before} == {None}

        percents: dict[str, float | None] = {}

        async def is_scraped() -> bool:
            percents.update({each.worker: each.percent for each in await workers.ask("f")})
            return percents[names[0]] is not None and percents[names[3]] is not None

        await until(is_scraped, timeout=10)
    assert percents == dict(zip(names, (10, 50, None, 10, None), strict=True))
