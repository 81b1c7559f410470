"""A Sentry of our own: it takes envelopes over HTTP and keeps the events."""

import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class SentrySink:
    """Serves the DSN on a free loopback port while the `with` block runs."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self._server.server_port}/1"

    @property
    def text(self) -> str:
        """All that was ever sent."""
        return b"\n".join(self.bodies).decode()

    def take(self, body: bytes) -> None:
        """Keep the events of one envelope, which is lines of JSON: headers and payloads."""
        self.bodies.append(body)
        lines = [json.loads(line) for line in body.splitlines()[1:] if line]
        self.events += [
            payload
            for header, payload in zip(lines[::2], lines[1::2], strict=True)
            if header["type"] == "event"
        ]

    def wait_for_event(self, timeout: float = 5.0) -> dict[str, Any]:
        """Return the first event."""
        end = time.monotonic() + timeout
        while not self.events and time.monotonic() < end:
            time.sleep(0.01)
        return self.events[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
