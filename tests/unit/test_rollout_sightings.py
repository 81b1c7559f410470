"""Which share the workers decide by, as their metrics say."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from flags.rollout.sightings import (
    Sighting,
    WorkersAt,
    WorkersOfPrometheus,
    WorkersUnknown,
    wait_until_seen,
)

NOWHERE = "127.0.0.1:1"


class Page:
    """What is served at one address."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.asked: list[str] = []
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
            body = page.next().encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

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


async def test_prometheus_is_asked_about_all_workers() -> None:
    """Each series is a worker."""
    series: list[dict[str, object]] = [
        {"metric": {"instance": "a:1", "worker": "1"}, "value": [1.0, "10"]},
        {"metric": {"instance": "b:1"}, "value": [1.0, "50"]},
    ]
    with served(answer(*series)) as page:
        found = await WorkersOfPrometheus(f"http://127.0.0.1:{page.port}/").ask("f")
    assert found == [Sighting("a:1 worker 1", 10), Sighting("b:1", 50)]
    query = parse_qs(urlsplit(page.asked[0]).query)["query"]
    assert query == ['patron_feature_rollout_percent{feature="f"}']


@pytest.mark.parametrize("text", [answer(), "<html>", '{"data": {"result": [{}]}}', "[]"])
async def test_prometheus_may_not_know(text: str) -> None:
    """No worker is not all workers, and an answer of somebody else is none."""
    with served(text) as page, pytest.raises(WorkersUnknown):
        await WorkersOfPrometheus(f"http://127.0.0.1:{page.port}").ask("f")
    with pytest.raises(WorkersUnknown, match="does not tell"):
        await WorkersOfPrometheus(f"http://{NOWHERE}").ask("f")
