"""A server that takes whatever is posted to it and keeps it."""

import gzip
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

import brotli

# Sentry's SDK takes brotli where it is installed, which locust sees to.
_DECODERS: Final[Mapping[str | None, Callable[[bytes], Any]]] = {
    None: bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
}


class HttpSink:
    """Answers every POST on a free loopback port while the `with` block runs."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.take(self.path, _DECODERS[self.headers.get("Content-Encoding")](body))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        return self._server.server_port

    def take(self, path: str, body: bytes) -> None:
        """Keep what was posted."""
        self.bodies.append(body)

    def wait_until(self, condition: Callable[[], object], timeout: float = 5.0) -> None:
        """Wait until what was posted is enough."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, "it was never posted"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
