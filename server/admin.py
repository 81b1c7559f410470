"""The operators' own HTTP port: metrics and health."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_POLL_INTERVAL = 0.05
"""Seconds that stopping may have to wait."""


class Report(Protocol):
    """How a server is."""

    @property
    def well(self) -> bool:
        """Whether it can serve."""

    @property
    def status(self) -> str:
        """How it is in a word, such as `ok`."""

    def details(self) -> Mapping[str, object]:
        """Return what `/healthz` tells beside that, as JSON takes it."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a further path answers."""

    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """What is sent beside the content's type."""


class AdminServer:
    """Serves `/metrics`, `/healthz` and further pages, each request in a thread of its own."""

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        health: Callable[[], Report],
        pages: Mapping[str, Callable[[], Page]] = MappingProxyType({}),
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Take the port; `start` serves it.

        Args:
            registry: The metrics to show.
            health: Tells how the server is; called from another thread, for each request.
            pages: What further paths answer; called like `health`.
            host: The address to listen on.
            port: The port to listen on; 0 is any free one.

        Raises:
            OSError: The port cannot be had.
        """
        self._health = health
        self._pages = pages
        self._metrics = make_wsgi_app(registry)
        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            raise OSError(f"cannot serve metrics on {host}:{port}: {error.strerror}") from error
        self._server.set_app(self._answer)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_INTERVAL,), name="admin", daemon=True
        )

    @property
    def address(self) -> str:
        """Where it listens, such as `127.0.0.1:9464`."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and give the port back."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _answer(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return list(self._metrics(environ, start_response))
            case "/healthz":
                report = self._health()
                status = "200 OK" if report.well else "503 Service Unavailable"
                page = _json({"status": report.status, **report.details()})
            case path if path in self._pages:
                status, page = "200 OK", self._pages[path]()
            case _:
                status, page = "404 Not Found", _json({"status": "not found"})
        start_response(status, [("Content-Type", page.content_type), *page.headers.items()])
        return [page.body]


def _json(body: Mapping[str, object]) -> Page:
    return Page("application/json", json.dumps(body).encode() + b"\n")


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # HTTPServer's own asks the name service for the name of the address, which may take long.
        socketserver.TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), port
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """Say nothing of a request."""
