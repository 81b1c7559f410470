"""What UnleashClient says of a poll, which it would log at every one."""

import logging
import threading
from typing import Final

from UnleashClient.utils import LOGGER


class _Words(logging.Handler):
    """Keeps the first complaint of each thread: those that follow only repeat that it failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.of_thread = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep why something failed, without the text of an exception."""
        if not getattr(self.of_thread, "reason", None):
            error = record.exc_info[1] if record.exc_info else None
            reason = record.getMessage() if error is None else type(error).__name__
            self.of_thread.reason = reason


_WORDS: Final = _Words()


def listen() -> None:
    """Have UnleashClient and its scheduler write no log lines of their own from now on."""
    LOGGER.handlers, LOGGER.propagate = [_WORDS], False
    # Of every poll that is skipped because the one before still waits.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def forget_words() -> None:
    """Forget what was said in this thread."""
    _WORDS.of_thread.reason = None


def why() -> str:
    """Return the reason that was said first in this thread since then."""
    return getattr(_WORDS.of_thread, "reason", None) or "it tells no flags"
