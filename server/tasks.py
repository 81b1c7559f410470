"""Work that goes on when the call that began it is over."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

from server.logs import describe_exception

T = TypeVar("T")

_log = structlog.get_logger()


class Background:
    """Tasks that no client can cancel by leaving; all of them end before the server does."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: Counter[asyncio.Task[Any]] = Counter()
        self._abandoned: set[asyncio.Task[Any]] = set()

    @property
    def abandoned(self) -> int:
        """How many tasks go on though all who waited for them have left."""
        return len(self._abandoned)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start the work; what it raises is for whoever awaits the task, if anybody still does."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Start work that nobody awaits; what it raises is logged."""
        self.start(work).add_done_callback(_tell)

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work to its end, even when the caller is cancelled meanwhile."""
        return await self.join(self.start(work))

    async def join(self, task: asyncio.Task[T]) -> T:
        """Wait for a task that was started here, which goes on when the caller is cancelled."""
        self._waiting[task] += 1
        self._abandoned.discard(task)
        try:
            return await asyncio.shield(task)
        finally:
            self._waiting[task] -= 1
            if not self._waiting[task]:
                del self._waiting[task]
                if not task.done():
                    self._abandoned.add(task)

    def is_joined(self, task: asyncio.Task[Any]) -> bool:
        """Return whether somebody waits for a task, or for what it has just come to."""
        return task in self._waiting

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._abandoned.discard(task)
        if not task.cancelled():
            # So that asyncio does not complain when all who waited have left.
            task.exception()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)


def _tell(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("background work failed", error=describe_exception(error))
