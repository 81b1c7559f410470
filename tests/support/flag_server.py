"""What answers as Unleash's client API does, or as nothing should."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from tests.support.flags import flag, flags_of

MISCHIEF: Final = ("html", "garbage", "empty", "error", "unauthorized", "hang", "hang up", "drip")
"""How it may misbehave."""


class FlagServer:
    """Tells the share of one flag on a free loopback port while the `with` block runs."""

    def __init__(self, flag: str = "customer-analytics", *, percent: int = 100) -> None:
        self.flag = flag
        self.percent = percent
        self.mischief = ""
        """One of `MISCHIEF`; empty: it does as it should."""
        self.polls = 0
        self.metrics: list[Any] = []
        self._released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.polls += 1
                outer._answer(self)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.mischief == "hang":
                    outer._released.wait()
                if self.path.endswith("/client/metrics"):
                    outer.metrics.append(json.loads(body))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/api"

    def release(self) -> None:
        """Do as it should from now on; whoever hangs is let go."""
        self.mischief = ""
        self._released.set()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:  # noqa: C901 - a case for each
        good = json.dumps(flags_of(flag(self.flag, percent=self.percent))).encode()
        match self.mischief:
            case "":
                etag = f'"{hashlib.sha256(good).hexdigest()}"'
                if request.headers.get("If-None-Match") == etag:
                    # As a real one does: without saying the etag again.
                    _send(request, 304, b"", None)
                else:
                    _send(request, 200, good, etag)
            case "html":
                _send(request, 200, b"<html>Welcome</html>", '"html"')
            case "garbage":
                _send(request, 200, good[: len(good) // 2] + b"\xff\x00", '"garbage"')
            case "empty":
                _send(request, 200, b"", '"empty"')
            case "error":
                _send(request, 500, b"{}", '"error"')
            case "unauthorized":
                _send(request, 401, b"{}", '"unauthorized"')
            case "hang":
                self._released.wait()
            case "drip":
                request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
                while not self._released.wait(0.2):
                    request.wfile.write(b" ")
            case _:
                """Hang up."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, etag: str | None) -> None:
    request.send_response(status)
    if etag is not None:
        request.send_header("ETag", etag)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
