"""Workers: each makes one call after the other."""

import asyncio
import math
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from load.calls import Call, Moment
from load.engine.dealing import Claim, Dealer, Turn
from load.engine.ledger import Ledger
from load.engine.making import Maker
from load.engine.mixes import Mix
from load.engine.numbering import NONE_LEFT, Numbers
from load.engine.resting import Rests
from load.engine.schedules import NEVER
from load.errors import LoadError
from load.jobs import Pace

_SECOND: Final = 1_000_000_000
_WARMING: Final = 1_000_000_000
"""Where the numbers of calls begin that nobody counts, so that those that count begin at 0."""
_MOST_IN_FLIGHT: Final = 10_000
"""How many calls of a process are in flight at most, where workers do not wait for them.

It is what bounds the memory: each takes about 25 kB. Further calls begin late, or are dropped.
"""
_AT_ONCE: Final = 2**63 - 1
_AFTER_ALL: Final = 2**62
"""A moment that never comes; any clock can be set to it."""
_GOLDEN: Final = (math.sqrt(5) - 1) / 2


@dataclass(slots=True)
class Work:
    """What the workers of a process share. Moments are nanoseconds of the monotonic clock."""

    calls: Sequence[Call]
    pace: Pace
    warm_from: int
    """When the warm-up begins."""
    begin: int
    """When it is over: calls that begin from then on count."""
    end: int | None
    """When the time is over: nothing begins from then on. None: it never is."""
    numbers: Numbers
    warming: Numbers
    mix: Mix
    rests: Rests
    dealer: Dealer | None
    """Of the calls of the schedule, if there is one."""
    ledger: Ledger
    tasks: asyncio.TaskGroup
    window: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_IN_FLIGHT))
    stopped: int = 0
    """When it was stopped, from outside or by the time; 0: it was not."""
    cut: bool = False
    """Whether the connections are closed."""
    ignoring: bool = False
    """Whether calls that end from now on are not counted."""
    dropped: int = 0
    failure: str = ""
    """What kept it from going on; empty: nothing."""

    def fail(self, error: Exception) -> None:
        """Begin nothing any more, because of this."""
        if not self.failure:
            foreseen = isinstance(error, LoadError)
            self.failure = str(error) if foreseen else f"{type(error).__name__}: {error}"
        self.rests.end()


class Worker(ABC):
    """Makes calls until none are left, it is to leave, or nothing is begun any more."""

    def __init__(self, work: Work, index: int, name: str, makers: Sequence[Maker]) -> None:
        self._work = work
        self._index = index
        self._name = name
        self._makers = makers
        self.leaving = False
        """Set it, and the worker makes no further call."""

    async def work(self) -> None:
        """Make calls."""
        try:
            if self._work.pace.asynchronous:
                await self._begin_all()
            else:
                await self._make_all()
            self._end()
        except Exception as error:  # noqa: BLE001 - the others would be cancelled, untold
            self._work.fail(error)

    async def _make_all(self) -> None:
        while not (self.leaving or self._work.rests.over):
            turn = await self._next()
            if turn is None:
                return
            self._made(await self._make(turn))

    async def _begin_all(self) -> None:
        work = self._work
        while not (self.leaving or work.rests.over):
            await work.window.acquire()
            turn = await self._next()
            if turn is None:
                work.window.release()
                return
            work.tasks.create_task(self._make_aside(turn))
            # Whoever is behind its schedule would never let the others go on.
            await asyncio.sleep(0)

    async def _make_aside(self, turn: Turn) -> None:
        work = self._work
        try:
            if work.cut:
                work.dropped += turn.counts and turn.meant < work.stopped
            else:
                await self._make(turn)
        except Exception as error:  # noqa: BLE001 - as above
            work.fail(error)
        finally:
            work.window.release()

    async def _make(self, turn: Turn) -> int:
        """Make a call, and return when it ended."""
        work = self._work
        begun = time.monotonic_ns()
        outcome = await self._makers[turn.call].make(turn.payload)
        ended = time.monotonic_ns()
        if turn.counts and not work.ignoring:
            work.ledger.enter(turn.call, turn.meant, begun, ended, outcome)
        return ended

    def _take(self) -> tuple[int, bool]:
        """Return the number of the next call, and whether it counts."""
        work = self._work
        counts = time.monotonic_ns() >= work.begin
        number = (work.numbers if counts else work.warming).take()
        if number == NONE_LEFT:
            work.rests.end()
        return number, counts

    def _turn(self, number: int, counts: bool, meant: int) -> Turn:  # noqa: FBT001
        work = self._work
        call = work.mix.choose(number)
        moment = Moment(number if counts else _WARMING + number, self._name)
        return Turn(counts, meant, call, work.calls[call].source.payload(moment))

    @abstractmethod
    async def _next(self) -> Turn | None:
        """Return the next call when it is time to make it; None: there is none for this worker."""

    def _made(self, ended: int) -> None:  # noqa: B027 - most workers need not know
        """Hear that the call has ended."""

    def _end(self) -> None:  # noqa: B027 - most workers have nothing to add
        """Count what should have been begun and was not, where only this worker knows."""


class _Free(Worker):
    """Makes the next call at once."""

    async def _make_all(self) -> None:
        # The same as for the others in one piece: this is where every microsecond counts.
        work = self._work
        if work.warm_from < work.begin:
            await super()._make_all()
            return
        now, rests, numbers, mix, calls, enter = (
            time.monotonic_ns,
            work.rests,
            work.numbers,
            work.mix,
            work.calls,
            work.ledger.enter,
        )
        while not (self.leaving or rests.over):
            number = numbers.take()
            if number == NONE_LEFT:
                rests.end()
                return
            call = mix.choose(number)
            payload = calls[call].source.payload(Moment(number, self._name))
            begun = now()
            outcome = await self._makers[call].make(payload)
            if not work.ignoring:
                enter(call, _AT_ONCE, begun, now(), outcome)

    async def _next(self) -> Turn | None:
        number, counts = self._take()
        return None if number == NONE_LEFT else self._turn(number, counts, _AT_ONCE)


class _Scheduled(Worker):
    """Makes the next call that is due."""

    def __init__(
        self,
        work: Work,
        index: int,
        name: str,
        makers: Sequence[Maker],
        *,
        dealer: Dealer,
    ) -> None:
        super().__init__(work, index, name, makers)
        self._dealer = dealer

    async def _next(self) -> Turn | None:
        return await self._dealer.next(self)

    def claim(self) -> Claim | None:
        """Take the next call of the schedule; None: there is none.

        Raises:
            LoadError: It cannot be made.
        """
        work = self._work
        number, counts = self._take()
        if number == NONE_LEFT:
            return None
        seconds = self._dealer.schedule.due(number)
        if seconds == NEVER:
            if not counts:
                return Claim(work.begin, None)
            work.rests.end()
            return None
        due = (work.begin if counts else work.warm_from) + int(seconds * _SECOND)
        if not counts and due >= work.begin:
            return Claim(work.begin, None)
        if counts and work.end is not None and due >= work.end:
            return Claim(_AFTER_ALL, None)
        return Claim(due, self._turn(number, counts, due))


class _User(Worker):
    """Makes the next call after a pause, or at its own pace, whatever the others do."""

    def __init__(self, work: Work, index: int, name: str, makers: Sequence[Maker]) -> None:
        super().__init__(work, index, name, makers)
        self._random = random.Random(index)  # noqa: S311 - nobody is to guess it
        # They don't act in step: all of them together are spread evenly over the time.
        part = index * _GOLDEN % 1
        self._meant = time.monotonic_ns() + int(part * self._pause() * _SECOND)

    def _pause(self) -> float:
        pace = self._work.pace
        if pace.every is not None:
            return pace.every
        return self._random.uniform(*pace.pause) if pace.pause else 0

    async def _next(self) -> Turn | None:
        work = self._work
        if not await work.rests.until(self._meant) or self.leaving:
            return None
        number, counts = self._take()
        if number == NONE_LEFT:
            return None
        meant = max(self._meant, work.begin) if counts else self._meant
        if work.pace.every is not None:
            # However late this one is: a user who is kept waiting falls behind.
            self._meant += int(work.pace.every * _SECOND)
        return self._turn(number, counts, meant)

    def _made(self, ended: int) -> None:
        if self._work.pace.every is None:
            self._meant = ended + int(self._pause() * _SECOND)

    def _end(self) -> None:
        work = self._work
        if work.pace.every and not self.leaving:
            missed = math.ceil((work.stopped - self._meant) / (work.pace.every * _SECOND))
            work.dropped += max(missed, 0)


def worker_of(work: Work, index: int, name: str, makers: Sequence[Maker]) -> Worker:
    """Return a worker of this name, whose calls are made by these makers."""
    if work.dealer is not None:
        return _Scheduled(work, index, name, makers, dealer=work.dealer)
    if work.pace.pause is not None or work.pace.every is not None:
        return _User(work, index, name, makers)
    return _Free(work, index, name, makers)
