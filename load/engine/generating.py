"""Starts the processes of a run, and passes on what they tell."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Final

from load.engine.messages import Begin, Connected, Halt, News, Share, Unreachable
from load.engine.numbering import Numbers
from load.engine.process import generate_share
from load.engine.schedules import schedule_of, staircase
from load.errors import ConfigError, LoadError, TargetError
from load.jobs import Job, Pace
from load.records import Ended, Told

_LOOK_SECONDS: Final = 0.1
"""How often it looks whether the run is cancelled."""
_LEAD: Final = 100_000_000
"""How many nanoseconds before it begins all are told when."""
_LEAVING_SECONDS: Final = 2
"""How long a process that has told everything may take to close its connections."""


@dataclass(frozen=True, slots=True)
class _Started:
    """A process that was started."""

    process: BaseProcess
    pipe: "Connection[Any, Any]"


def generate(job: Job, *, cancel: threading.Event) -> Iterator[Told]:
    """Do a job, and yield what its processes tell: chunks of calls, and of each how it ended.

    Nothing is counted before all processes are connected; then they begin together. When `cancel`
    is set, the run ends as if its time were over, for the reason `cancel`. Whoever stops iterating
    ends the processes.

    Raises:
        ConfigError: The pace of the job is none.
        TargetError: The server cannot be reached, before anything is yielded.
        LoadError: A process has died.
    """
    _check(job.pace)
    context = multiprocessing.get_context("spawn")
    numbers = Numbers(context, job.pace.total)
    warming = Numbers(context, None)
    started: list[_Started] = []
    try:
        for number in range(job.processes):
            share = Share(number, job.processes, job.connections)
            started.append(_start(context, job, share, numbers, warming))
        if not _connect(started, cancel):
            for number in range(job.processes):
                yield Told(number, Ended("cancel", seconds=0, dropped=0, busy=0))
            return
        _order([one.pipe for one in started], Begin(time.monotonic_ns() + _LEAD))
        yield from _listen(started, cancel)
        for one in started:
            one.process.join(_LEAVING_SECONDS)
    finally:
        for one in started:
            one.process.kill()
        for one in started:
            one.process.join()
            one.process.close()
            one.pipe.close()


def _check(pace: Pace) -> None:
    """Refuse what contradicts itself.

    Raises:
        ConfigError: The text says what does.
    """
    staircase(pace.workers)
    if schedule_of(pace.rate) and (pace.pause is not None or pace.every is not None):
        raise ConfigError("a rate and the pauses of workers exclude each other: both say when")
    if pace.pause is not None and pace.every is not None:
        raise ConfigError("pause and every exclude each other: both say when")
    if pace.pause is not None and pace.asynchronous:
        raise ConfigError("who does not wait for an answer makes no pause after it: leave out one")


def _start(
    context: SpawnContext, job: Job, share: Share, numbers: Numbers, warming: Numbers
) -> _Started:
    ours, theirs = context.Pipe()
    process = context.Process(
        target=generate_share, args=(job, share, numbers, warming, theirs), daemon=True
    )
    # A Ctrl-C that comes before the process can ignore it must not end it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    # With the only other end in the process, each side hears when the other dies.
    theirs.close()
    return _Started(process, ours)


def _connect(started: Sequence[_Started], cancel: threading.Event) -> bool:
    """Wait until all are connected; return whether they are: else it was cancelled before.

    Raises:
        TargetError: The server cannot be reached.
        LoadError: A process has died.
    """
    for one in started:
        while not one.pipe.poll(_LOOK_SECONDS):
            if cancel.is_set():
                return False
        news = _hear(one)
        if isinstance(news, Unreachable):
            raise TargetError(news.reason)
    return True


def _listen(started: Sequence[_Started], cancel: threading.Event) -> Iterator[Told]:
    """Yield what is told, until all have ended.

    Raises:
        LoadError: A process has died.
    """
    going = {one.pipe: number for number, one in enumerate(started)}
    halted = False
    while going:
        halting = cancel.is_set()
        ready: Any = wait(list(going), timeout=_LOOK_SECONDS)
        for pipe in ready:
            number = going[pipe]
            news = _hear(started[number])
            if isinstance(news, Ended):
                del going[pipe]
                # Without the calls of this one the others would make a run that nobody asked for.
                halting = halting or bool(news.failure)
            if not isinstance(news, Connected | Unreachable):
                yield Told(number, news)
        if halting and not halted:
            _order(going, Halt())
            halted = True


def _order(pipes: Iterable["Connection[Any, Any]"], order: Begin | Halt) -> None:
    for pipe in pipes:
        # That a process has died is noticed where it is listened to.
        with suppress(OSError):
            pipe.send(order)


def _hear(one: _Started) -> News:
    try:
        news: News = one.pipe.recv()
    except (EOFError, OSError):
        one.process.join(_LEAVING_SECONDS)
        raise LoadError(
            f"a process that generates load has died ({_fate(one.process.exitcode)}); "
            "what it had not told yet is lost"
        ) from None
    return news


def _fate(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
