"""Stdin as a sign of life of the process that holds its other end."""

import os
import sys
import threading
from collections.abc import Callable


def at_end_of_input(act: Callable[[], object]) -> None:
    """Act, in a thread of its own, once stdin is at its end: its other end has been closed.

    A pipe's other end closes when the process that holds it ends, however it ends.
    """

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        act()

    threading.Thread(target=wait, daemon=True).start()
