"""The workers of a process over time."""

from collections import deque
from collections.abc import Callable

from load.engine.schedules import staircase
from load.engine.workers import Work, Worker


class Crowd:
    """Workers that come and go as the job says.

    All processes know of all workers, and each has its own: a worker is known by how many came
    before it.
    """

    def __init__(self, work: Work, hire: Callable[[int], Worker | None]) -> None:
        """`hire` returns the worker with this number, None if it is that of another process."""
        self._work = work
        self._hire = hire
        self._present: deque[Worker | None] = deque()
        self._came = 0

    async def gather(self) -> None:
        """Let workers come and go, until their number changes no more or nothing is begun."""
        work = self._work
        for stair in staircase(work.pace.workers):
            # Until the warm-up is over there are as many as in the beginning.
            if stair.at and not await work.rests.until(work.begin + int(stair.at * 1e9)):
                return
            self._change(int(stair.value) - len(self._present))

    def _change(self, by: int) -> None:
        for _ in range(by):
            worker = self._hire(self._came)
            self._came += 1
            self._present.append(worker)
            if worker:
                self._work.tasks.create_task(worker.work())
        for _ in range(-by):
            # As in ghz, who came first leaves first.
            if worker := self._present.popleft():
                worker.leaving = True
