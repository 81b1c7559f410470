"""Locks between processes."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

_POLL_SECONDS = 0.01


class FileLock:
    """An advisory lock on a file.

    The kernel drops it when its process ends, however it ends: unlike a process id in a file,
    it is never stale. Two objects conflict within one process, too. Programs started by this
    process don't inherit it.

    Opening raises OSError if the file can be neither opened nor created.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_exclusive(self, *, patience: float = 0) -> bool:
        """Take the lock for this object alone, or turn a shared one into that.

        Tries for `patience` seconds. Returns whether the lock was had; if not, nothing is held.
        """
        deadline = time.monotonic() + patience
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)

    def share(self) -> None:
        """Hold the lock together with others, or turn an exclusive one into that.

        Raises BlockingIOError if another object holds it exclusively.
        """
        fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def release(self) -> None:
        """Drop the lock and close the file, which is never deleted: others may be waiting on it."""
        # Closing alone would leave it to processes forked from this one.
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


def is_locked(path: Path) -> bool:
    """Return whether anybody holds the lock exclusively.

    Asking takes the lock for an instant, so `try_exclusive` needs some patience where others ask.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
