"""The place of one worker, which is never empty for long."""

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn

import structlog

from server.workers.backoff import Backoff
from server.workers.process import WorkerCommand, WorkerProcess

START_SECONDS: Final = 60.0
"""How long a worker may take to get ready."""

_BY_SIGNAL: Final = 128

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """How a worker is, at a moment."""

    number: int
    pid: int | None
    """None while there is no process."""
    ready: bool
    """Whether it serves, and has not been told to stop."""
    admin: str | None
    """Where its own metrics and health are, once it has served."""
    restarts: int
    """How often a process that ended by itself has been replaced."""
    draining: bool = False
    """Whether it was told to stop."""


class WorkerCannotStart(Exception):
    """A worker ended before any was ever ready, for a reason that lasts; it has told its reason."""

    def __init__(self, status: int) -> None:
        super().__init__(f"a worker ended with status {status}")
        self.status = status


class WorkerSlot:
    """Keeps one worker of a number running, and replaces it when told to."""

    def __init__(
        self, number: int, command: WorkerCommand, *, served: asyncio.Event, stop_seconds: float
    ) -> None:
        """Start nothing yet.

        Args:
            number: The number of the worker.
            command: What starts it.
            served: Is set once a worker is ready, the first of all slots.
            stop_seconds: How long a worker may take to drain and end.
        """
        self._number = number
        self._command = command
        self._served = served
        self._stop_seconds = stop_seconds
        self._backoff = Backoff()
        self._hurry = asyncio.Event()
        self._filling = asyncio.Lock()
        self._worker: WorkerProcess | None = None
        self._alive: set[WorkerProcess] = set()
        self._restarts = 0

    @property
    def status(self) -> WorkerStatus:
        """How its worker is; may be asked from any thread."""
        worker = self._worker
        ready = worker.ready if worker else None
        return WorkerStatus(
            number=self._number,
            pid=worker.pid if worker else None,
            ready=worker is not None and ready is not None and not worker.draining,
            admin=ready.admin if ready else None,
            restarts=self._restarts,
            draining=worker is not None and worker.draining,
        )

    async def keep(self) -> NoReturn:
        """Start a worker, and another one whenever it has ended, until this is cancelled.

        Raises:
            WorkerCannotStart: It ended for a reason that lasts, and none has ever been ready.
        """
        while True:
            delay = await self._serve_until_it_ends()
            self._hurry.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), delay)
            self._restarts += 1

    async def replace(self) -> bool:
        """Put a new worker in the place of the one that serves, which then drains and ends.

        The old one is told to only when the new one is ready. Where none serves, because they ended
        again and again, the next one is started at once.

        Returns:
            Whether that is so; False when the new one did not get ready and the old one serves on.
        """
        old = self._worker
        if old is None:
            self._hurry.set()
            return True
        new = await self._spawn()
        if new is None or not await new.wait_ready(START_SECONDS):
            return False
        async with self._filling:
            # If the old one has ended meanwhile, that may be one which `keep` has begun, or none.
            displaced, self._worker = self._worker, new
        if displaced is None:
            self._hurry.set()
        else:
            await displaced.stop(self._stop_seconds)
        return True

    async def stop(self) -> None:
        """Stop every process of this place; to be called when `keep` and `replace` have ended."""
        await asyncio.gather(*(worker.stop(self._stop_seconds) for worker in self._alive))

    async def _serve_until_it_ends(self) -> float:
        """Run a worker, or those that replace it, to the end; return when to start the next one."""
        async with self._filling:
            if self._worker is None:
                self._worker = await self._spawn()
            worker = self._worker
        while worker is not None:
            if await worker.wait_ready(START_SECONDS):
                self._served.set()
            status = await worker.wait_ended()
            if worker is self._worker:
                self._worker = None
                if _lasts(status) and not self._served.is_set():
                    raise WorkerCannotStart(status)
                delay = self._backoff.delay(worker.lived)
                _log.warning(
                    "a worker ended", worker=self._number, status=status, restart_in=round(delay, 2)
                )
                return delay
            worker = self._worker
        return self._backoff.delay(0)

    async def _spawn(self) -> WorkerProcess | None:
        """Return a new process, or None when the machine has no room for one."""
        try:
            worker = await WorkerProcess.spawn(self._number, self._command)
        except OSError as error:
            _log.error("a worker cannot be started", worker=self._number, exc_info=error)
            return None
        self._alive.add(worker)
        worker.when_ended(partial(self._alive.discard, worker))
        return worker


def _lasts(status: int) -> bool:
    """Return whether the exit status tells of what trying again won't change.

    Signals (negative, or above 128) and what the worker itself calls temporary do not.
    """
    return 0 < status < _BY_SIGNAL and status != os.EX_TEMPFAIL
