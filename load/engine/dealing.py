"""Calls that are due, for workers who have nothing to do."""

import asyncio
import time
from collections import deque
from typing import NamedTuple, Protocol

from load.calls import Payload
from load.engine.alarms import alarm_of
from load.engine.resting import Rests
from load.engine.schedules import Schedule


class Turn(NamedTuple):
    """A call that a worker is to make."""

    counts: bool
    meant: int
    """When it is meant to begin, in nanoseconds of the monotonic clock."""
    call: int
    payload: Payload


class Claim(NamedTuple):
    """What a worker does next."""

    moment: int
    """When, in nanoseconds of the monotonic clock."""
    turn: Turn | None
    """None: it is to claim again then."""


class Claimant(Protocol):
    """Who takes a call of the schedule."""

    leaving: bool

    def claim(self) -> Claim | None:
        """Take the next call; None: there is none.

        Raises:
            LoadError: It cannot be made.
        """


class Dealer:
    """Gives each call to whoever has waited longest, at the moment that it is due.

    One call is taken ahead, and none while all are busy: another process may have a worker for it.
    """

    def __init__(self, schedule: Schedule, rests: Rests) -> None:
        self.schedule = schedule
        self._rests = rests
        rests.when_over(self._end)
        self._loop = asyncio.get_running_loop()
        self._alarm = alarm_of(self._deal)
        self._idle: deque[tuple[Claimant, asyncio.Future[Turn | None]]] = deque()
        self._claim: Claim | None = None

    @property
    def held(self) -> Turn | None:
        """The call that was taken and not given to anybody."""
        return self._claim.turn if self._claim else None

    async def next(self, worker: Claimant) -> Turn | None:
        """Return the worker's next call when it is due; None: there is none.

        Raises:
            LoadError: It cannot be made.
        """
        if self._rests.over:
            return None
        given: asyncio.Future[Turn | None] = self._loop.create_future()
        self._idle.append((worker, given))
        if len(self._idle) == 1:
            self._deal()
        # Who is behind the schedule does not wait for anything.
        return given.result() if given.done() else await given

    def _deal(self) -> None:
        """Give what is due, and come back for the next one."""
        while self._idle and not self._rests.over:
            worker, given = self._idle[0]
            if self._claim is None:
                if worker.leaving:
                    self._idle.popleft()
                    given.set_result(None)
                    continue
                try:
                    self._claim = worker.claim()
                except Exception as error:  # noqa: BLE001 - it is the worker's, whoever deals
                    self._idle.popleft()
                    given.set_exception(error)
                    continue
            elif self._claim.moment > time.monotonic_ns():
                self._alarm.set(self._claim.moment)
                return
            else:
                turn, self._claim = self._claim.turn, None
                if turn is not None:
                    self._idle.popleft()
                    given.set_result(turn)

    def _end(self) -> None:
        self._alarm.close()
        while self._idle:
            _, given = self._idle.popleft()
            given.set_result(None)
