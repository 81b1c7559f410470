"""A run, as one process does its part of it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from grpc.aio import Channel

from load.engine.connections import disconnect
from load.engine.crowd import Crowd
from load.engine.dealing import Dealer
from load.engine.ledger import Ledger
from load.engine.making import maker_of
from load.engine.messages import Share
from load.engine.mixes import Mix
from load.engine.numbering import Numbers
from load.engine.resting import Rests
from load.engine.schedules import schedule_of
from load.engine.workers import Work, Worker, worker_of
from load.jobs import Job, Stop
from load.records import Chunk, Ended

_SECOND: Final = 1_000_000_000
_CHUNK_SECONDS: Final = 0.25


class Run:
    """The part of a run that this process does, from a moment on.

    The moment is in nanoseconds of the monotonic clock.
    """

    def __init__(
        self,
        job: Job,
        share: Share,
        channels: Sequence[Channel],
        numbers: Numbers,
        warming: Numbers,
        *,
        at: int,
    ) -> None:
        self._job = job
        self._share = share
        self._channels = channels
        self._ledger = Ledger()
        self._makers = {
            number: [maker_of(channel, call, job.trailers) for call in job.calls]
            for number, channel in zip(share.own(), channels, strict=True)
        }
        rests, schedule = Rests(), schedule_of(job.pace.rate)
        begin, duration = at + int(job.pace.warm_up * _SECOND), job.pace.duration
        self._work = Work(
            calls=job.calls,
            pace=job.pace,
            warm_from=at,
            begin=begin,
            end=None if duration is None else begin + int(duration * _SECOND),
            numbers=numbers,
            warming=warming,
            mix=Mix([call.weight for call in job.calls]),
            rests=rests,
            dealer=Dealer(schedule, rests) if schedule else None,
            ledger=self._ledger,
            tasks=asyncio.TaskGroup(),
        )
        self._reason = "normal"
        self._closing: asyncio.Task[None] | None = None

    def halt(self) -> None:
        """Begin no further call; those in flight end as they do when the time is over."""
        self._stop("cancel", time.monotonic_ns())

    async def make(self, tell: Callable[[Chunk], None]) -> Ended:
        """Make the calls, and return how it was when all of them have ended.

        They are told of a few times in each second, and of the last ones before it returns.
        """
        work = self._work
        await work.rests.until(work.warm_from)
        while time.monotonic_ns() < work.warm_from:  # noqa: ASYNC110 - for half a millisecond
            # The timer was a bit early. Nothing is to begin before the others do.
            await asyncio.sleep(0)
        used = time.process_time_ns()
        telling = asyncio.create_task(self._keep_telling(tell))
        try:
            await self._make_all()
        finally:
            telling.cancel()
        self._tell_chunk(tell)
        end = time.monotonic_ns()
        used = time.process_time_ns() - used
        busy = used / (end - work.warm_from)
        if not work.stopped and self._ledger.last:
            # Whoever still waited for the next call waited in vain.
            end = self._ledger.last
        return Ended(
            reason=self._reason,
            seconds=max(end - work.begin, 0) / _SECOND,
            dropped=self._dropped(),
            busy=busy,
            messages_sent=self._ledger.messages_sent,
            messages_received=self._ledger.messages_received,
            failure=work.failure,
        )

    async def _make_all(self) -> None:
        work = self._work
        timing = asyncio.create_task(self._keep_time())
        try:
            async with work.tasks:
                work.tasks.create_task(Crowd(work, self._hire).gather())
        finally:
            timing.cancel()
        # Whatever ended it, there is nothing to wait for any more.
        work.rests.end()
        if self._closing:
            await self._closing

    async def _keep_time(self) -> None:
        work = self._work
        if work.end is not None:
            await asyncio.sleep((work.end - time.monotonic_ns()) / _SECOND)
            self._stop("timeout", work.end)

    def _hire(self, index: int) -> Worker | None:
        connection = self._share.connection_of(index)
        makers = self._makers.get(connection)
        if makers is None:
            return None
        name = f"g{index}c{connection}"
        if self._job.name:
            name = f"{self._job.name}:{name}"
        return worker_of(self._work, index, name, makers)

    def _stop(self, reason: str, at: int) -> None:
        work = self._work
        if work.stopped:
            return
        self._reason = reason
        work.stopped = at
        work.ignoring = self._job.pace.stop is Stop.IGNORE
        work.rests.end()
        if self._job.pace.stop is not Stop.WAIT:
            work.cut = True
            self._closing = asyncio.create_task(disconnect(self._channels))

    def _dropped(self) -> int:
        work = self._work
        if work.dealer is None or not work.stopped:
            return work.dropped
        due = work.dealer.schedule.before((work.stopped - work.begin) / _SECOND)
        held = work.dealer.held
        late = held is not None and held.counts and held.meant < work.stopped
        # Whichever process comes first tells of those that nobody has taken.
        return work.dropped + late + work.numbers.take_below(due)

    async def _keep_telling(self, tell: Callable[[Chunk], None]) -> None:
        while True:
            await asyncio.sleep(_CHUNK_SECONDS)
            self._tell_chunk(tell)

    def _tell_chunk(self, tell: Callable[[Chunk], None]) -> None:
        if chunk := self._ledger.tear_off():
            tell(chunk)
