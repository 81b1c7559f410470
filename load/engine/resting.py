"""Waiting until a moment, or until there is nothing to wait for any more."""

import asyncio
import time
from typing import Final

_SECOND: Final = 1_000_000_000


class Rests:
    """Those who wait. Moments are nanoseconds of the monotonic clock."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._resting: set[asyncio.Future[None]] = set()
        self.over = False
        """Whether nobody waits any more, because nothing is begun any more."""

    async def until(self, moment: int) -> bool:
        """Wait until a moment; return whether it has come, for nobody waits when it is over.

        Timers are exact to a millisecond, so that it may be half of one early.
        """
        left = moment - time.monotonic_ns()
        if left > 0 and not self.over:
            rest = self._loop.create_future()
            self._resting.add(rest)
            timer = self._loop.call_later(left / _SECOND, _wake, rest)
            await rest
            timer.cancel()
            self._resting.discard(rest)
        return not self.over

    def end(self) -> None:
        """Wake all, for good."""
        self.over = True
        for rest in self._resting:
            _wake(rest)


def _wake(rest: "asyncio.Future[None]") -> None:
    if not rest.done():
        rest.set_result(None)
