"""Numbers of calls, which the processes of a run take from the same row."""

from multiprocessing.context import BaseContext
from typing import Final

NONE_LEFT: Final = -1


class Numbers:
    """The numbers from 0 on; each is taken once, by whichever process gets to it.

    That way the processes share the calls as evenly as their speed allows, and all workers are busy
    until the last call. Can be given to a process that is started.
    """

    def __init__(self, context: BaseContext, limit: int | None) -> None:
        self._next = context.RawValue("q", 0)
        self._lock = context.Lock()
        self._limit = limit

    def take(self) -> int:
        """Return the next number; `NONE_LEFT`, when all below the limit are taken."""
        self._lock.acquire()
        number: int = self._next.value
        if number == self._limit:
            number = NONE_LEFT
        else:
            self._next.value = number + 1
        self._lock.release()
        return number

    def take_below(self, end: int) -> int:
        """Take all that are left below `end` and the limit; return how many those were."""
        if self._limit is not None:
            end = min(end, self._limit)
        with self._lock:
            left: int = end - self._next.value
            if left > 0:
                self._next.value = end
        return max(left, 0)
