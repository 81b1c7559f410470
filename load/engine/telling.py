"""Tells the process that started this one, without keeping calls waiting."""

import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue

from load.engine.messages import News


class Teller:
    """Sends from a thread: a pipe that is full must not keep the event loop waiting.

    What the other side is slow to take is kept.
    """

    def __init__(self, pipe: "Connection[News, object]") -> None:
        self._pipe = pipe
        self._news: SimpleQueue[News | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def tell(self, news: News) -> None:
        """Send something, soon."""
        self._news.put(news)

    def finish(self) -> None:
        """Return when all has been sent."""
        self._news.put(None)
        self._thread.join()

    def _send(self) -> None:
        while (news := self._news.get()) is not None:
            self._pipe.send(news)
