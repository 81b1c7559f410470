"""A Sentry of our own: it takes envelopes over HTTP and keeps the events."""

import json
from typing import Any

from tests.support.http_sink import HttpSink


class SentrySink(HttpSink):
    """Serves the DSN while the `with` block runs."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self.port}/1"

    @property
    def text(self) -> str:
        """All that was ever sent."""
        return b"\n".join(self.bodies).decode()

    def take(self, path: str, body: bytes) -> None:
        """Keep the events of one envelope, which is lines of JSON: headers and payloads."""
        super().take(path, body)
        lines = [json.loads(line) for line in body.splitlines()[1:] if line]
        self.events += [
            payload
            for header, payload in zip(lines[::2], lines[1::2], strict=True)
            if header["type"] == "event"
        ]

    def wait_for_event(self) -> dict[str, Any]:
        """Return the first event."""
        self.wait_until(lambda: self.events)
        return self.events[0]
