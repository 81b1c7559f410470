"""Work that goes on when the call that began it is over."""

import asyncio
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
        return await asyncio.shield(self.start(work))

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
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
