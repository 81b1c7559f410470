"""Ctrl-C: once, it ends a run and leaves its report; twice, it ends everything at once."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def cancelling(say: Callable[[str], None]) -> Iterator[threading.Event]:
    """Lend an event that Ctrl-C sets; the second time it raises KeyboardInterrupt.

    SIGTERM raises SystemExit, so that the processes of the run are ended too.
    """
    cancel = threading.Event()

    def interrupt(_: int, __: FrameType | None) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()
        say("Ending the run. Ctrl-C again ends it at once, without a report.")

    def terminate(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    before = [
        (number, signal.signal(number, handler))
        for number, handler in ((signal.SIGINT, interrupt), (signal.SIGTERM, terminate))
    ]
    try:
        yield cancel
    finally:
        for number, handler in before:
            signal.signal(number, handler)
