"""One worker, as its supervisor sees it."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Self, cast

import structlog

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ready:
    """What a worker tells its supervisor when it is ready: where it answers (host:port)."""

    target: str
    admin: str

    def to_line(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Ready | None":
        """Return what a line says, or None when it is not such a line."""
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class WorkerCommand:
    """How a worker is started."""

    arguments: Sequence[str]
    """The command; `--number` and the worker's number come after it."""
    environment: Mapping[str, str]


class WorkerProcess:
    """A process that serves.

    It is spawned in a session of its own, so that Ctrl-C reaches its supervisor alone. It holds
    one end of a pipe as its stdin: the other end closes when the supervisor ends, however it ends.
    """

    def __init__(self, number: int, process: asyncio.subprocess.Process) -> None:
        self._process = process
        # It is there: `spawn` makes the pipe.
        self._output = cast("asyncio.StreamReader", process.stdout)
        self._ended = asyncio.create_task(process.wait())
        self._ready_at = 0.0
        self.number = number
        self.ready: Ready | None = None
        """Where it answers; None until it is ready."""
        self.draining = False
        """Whether it was told to stop."""

    @classmethod
    async def spawn(cls, number: int, command: WorkerCommand) -> Self:
        """Start a worker.

        Raises:
            OSError: The machine has no room for a process.
        """
        process = await asyncio.create_subprocess_exec(
            *command.arguments,
            *("--number", str(number)),
            env=command.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        return cls(number, process)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def lived(self) -> float:
        """For how many seconds it has been ready; 0 when it never was."""
        return time.monotonic() - self._ready_at if self.ready else 0.0

    async def wait_ready(self, patience: float) -> bool:
        """Return whether it got ready; one that is not within `patience` seconds is killed."""
        if self.ready is None:
            # ValueError: a line longer than any that tells of readiness.
            with suppress(TimeoutError, ValueError):
                async with asyncio.timeout(patience):
                    line = await self._output.readline()
                    self.ready = Ready.from_line(line)
                    self._ready_at = time.monotonic()
                    if not line:  # It is ending by itself, with a status that says why.
                        await self.wait_ended()
            if self.ready is None:
                self._signal(signal.SIGKILL)
        return self.ready is not None

    async def wait_ended(self) -> int:
        """Return its exit status once it has ended; that of a signal is negative."""
        return await asyncio.shield(self._ended)

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Call back once it has ended."""
        self._ended.add_done_callback(lambda _: callback())

    async def stop(self, patience: float) -> None:
        """Have it drain and end; when it has not after `patience` seconds, kill it."""
        self.draining = True
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.wait_ended(), patience)
        except TimeoutError:
            _log.error("a worker did not stop and is killed", worker=self.number, pid=self.pid)
            self._signal(signal.SIGKILL)
            await self.wait_ended()

    def _signal(self, number: signal.Signals) -> None:
        # Not by the process object: it asks for the exit status first, which asyncio then misses.
        if not self._ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
