"""Keeps the workers running, from the first one's start to the last one's end."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

from server.workers.process import WorkerCommand
from server.workers.slot import WorkerSlot, WorkerStatus

_STDIN: Final = 0

_log = structlog.get_logger()


class Supervisor:
    """Runs a number of workers until SIGTERM or SIGINT; on SIGHUP replaces one after the other."""

    def __init__(self, count: int, command: WorkerCommand, *, stop_seconds: float) -> None:
        """Start nothing yet.

        Args:
            count: How many workers there are.
            command: What starts one.
            stop_seconds: How long a worker that is told to stop may take before it is killed.
        """
        self._served = asyncio.Event()
        self._stop = asyncio.Event()
        self._roll = asyncio.Event()
        self._slots = [
            WorkerSlot(number, command, served=self._served, stop_seconds=stop_seconds)
            for number in range(count)
        ]

    def statuses(self) -> list[WorkerStatus]:
        """Return how each worker is, by their numbers; may be asked from any thread."""
        return [slot.status for slot in self._slots]

    async def run(self, *, ready: Callable[[], None]) -> None:
        """Run the workers until a signal says to stop; then let all of them drain and end.

        From then on further signals are ignored, for good: they would only keep the workers, and
        what the caller closes afterwards, from ending in order.

        Args:
            ready: Is called once, when the first worker is ready.

        Raises:
            WorkerCannotStart: A worker ended for a reason that lasts, and none was ever ready.
        """
        self._listen()
        parts: list[Coroutine[Any, Any, None]] = [
            *(slot.keep() for slot in self._slots),
            self._tell(ready),
            self._roll_when_told(),
        ]
        tasks = [asyncio.create_task(part) for part in parts]
        for task in tasks:
            task.add_done_callback(self._stop_if_failed)
        await self._stop.wait()
        self._go_deaf()
        _log.info("stopping")
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(slot.stop() for slot in self._slots))
        _log.info("stopped")
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        # A terminal that is closed sends it, too: then nobody is there to stop the server later.
        hung_up = self._stop if os.isatty(_STDIN) else self._roll
        loop.add_signal_handler(signal.SIGHUP, hung_up.set)

    def _go_deaf(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # The loop would restore the default, which is to die.
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    def _stop_if_failed(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._stop.set()

    async def _tell(self, ready: Callable[[], None]) -> None:
        await self._served.wait()
        ready()

    async def _roll_when_told(self) -> None:
        while True:
            await self._roll.wait()
            self._roll.clear()
            await self._replace_all()

    async def _replace_all(self) -> None:
        _log.info("replacing the workers")
        for number, slot in enumerate(self._slots):
            if not await slot.replace():
                # The next one would fare no better.
                _log.error("a new worker did not get ready; the old ones serve on", worker=number)
                return
        _log.info("replaced the workers")
