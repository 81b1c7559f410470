"""An identity provider's JWK set on a real HTTP server."""

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from server.auth.development import DevelopmentKey


class JwksServer:
    """Answers keys, or what a test wants instead; counts how often it is asked."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked = 0
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.delay = 0.0
        """How many seconds pass before the answer."""
        self.drip = 0.0
        """How many seconds pass before each byte of the answer."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def publish(self, *keys: DevelopmentKey) -> None:
        """Answer the public halves of these keys from now on."""
        entries = [json.loads(key.jwks_path.read_text())["keys"][0] for key in keys]
        self.body = json.dumps({"keys": entries}).encode()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/jwks.json"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        time.sleep(self.delay)
        handler.send_response(self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(self.body)))
        handler.end_headers()
        if not self.drip:
            handler.wfile.write(self.body)
            return
        for byte in self.body:
            time.sleep(self.drip)
            handler.wfile.write(bytes([byte]))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    answer(self)
                except ConnectionError:
                    """The client had enough."""

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        return Handler
