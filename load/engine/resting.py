"""Waiting until a moment, or until there is nothing to wait for any more."""

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count

from load.engine.alarms import alarm_of


class Rests:
    """Those who wait. Moments are nanoseconds of the monotonic clock."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._alarm = alarm_of(self._ring)
        # By their moments; the number only keeps two of the same moment apart.
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._when_over: list[Callable[[], None]] = []
        self.over = False
        """Whether nobody waits any more, because nothing is begun any more."""

    async def until(self, moment: int) -> bool:
        """Wait until a moment; return whether it has come, for nobody waits when it is over."""
        if moment > time.monotonic_ns() and not self.over:
            rest = self._loop.create_future()
            heapq.heappush(self._waiting, (moment, next(self._numbers), rest))
            if self._waiting[0][2] is rest:
                self._alarm.set(moment)
            await rest
        return not self.over

    def when_over(self, act: Callable[[], None]) -> None:
        """Have this called when it is over."""
        self._when_over.append(act)

    def end(self) -> None:
        """Wake all, for good."""
        if not self.over:
            self.over = True
            self._alarm.close()
            for _, _, rest in self._waiting:
                rest.set_result(None)
            for act in self._when_over:
                act()

    def _ring(self) -> None:
        waiting = self._waiting
        # The first one is due even if the alarm is a bit early.
        _, _, rest = heapq.heappop(waiting)
        rest.set_result(None)
        now = time.monotonic_ns()
        while waiting and waiting[0][0] <= now:
            _, _, rest = heapq.heappop(waiting)
            rest.set_result(None)
        if waiting:
            self._alarm.set(waiting[0][0])
