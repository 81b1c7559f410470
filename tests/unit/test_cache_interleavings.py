"""No interleaving of readers, writers, losses, crashes and pauses serves what is not promised."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import UnavailableError
from domain.model.merchant import Revision
from server.answers import Served
from tests.support.interleavings import LIFETIME, Point, Worker, World

REQUESTS = [b"one", b"two"]


@dataclass
class Read:
    """A call that reads, and what its answer must be like."""

    task: "asyncio.Task[Served]"
    begun: float
    seen: int
    bound: int
    """What was known when it began, to its worker or to Redis where that would be asked."""


class Explorer:
    """Does one thing after another, as it is told, and checks every answer."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self.world = World(workers=2)
        self.reads: list[Read] = []
        self.writes: list[asyncio.Task[object]] = []
        self.seen = Revision("a", 0)
        self.forgotten = False
        """Whether something that nobody makes good has happened: only the lifetime bounds it."""
        self._draw = draw

    def choose(self, count: int) -> int:
        return self._draw(st.integers(0, count - 1))

    async def explore(self, steps: int) -> None:
        for worker in self.world.workers:
            worker.subscribe()
        for _ in range(steps):
            actions = self.actions()
            await actions[self.choose(len(actions))]()
            self.check()
        await self.come_to_rest()

    def actions(self) -> list[Callable[[], Awaitable[None]]]:
        """Return what could happen now; the usual things are there more than once."""
        live = [worker for worker in self.world.workers if worker.alive]
        usual = [self.read, self.write, self.finish, self.wait]
        if self.live_points():
            usual += [self.release] * 4
        if any(worker.inbox for worker in live):
            usual += [self.hear]
        rare = [self.leave, self.fail, self.retry, self.lose_channel, self.subscribe]
        if len(live) > 1:
            rare += [self.flush, self.crash]
        return [*usual, *usual, *rare]

    def a_worker(self) -> Worker:
        live = [worker for worker in self.world.workers if worker.alive]
        return live[self.choose(len(live))]

    async def read(self) -> None:
        """Ask something; half of the callers have seen the newest answer to a write."""
        worker = self.a_worker()
        request = REQUESTS[self.choose(len(REQUESTS))]
        seen = self.seen if self.choose(2) else None
        bound = worker.bound(request)
        task = asyncio.create_task(worker.read(request, seen))
        self.reads.append(Read(task, self.world.now, seen.number if seen else 0, bound))
        await self.world.settle()

    async def write(self) -> None:
        task: asyncio.Task[object] = asyncio.create_task(self.a_worker().write())
        self.writes.append(task)
        await self.world.settle()

    async def release(self) -> None:
        """Let one who waits go on, the first more often than others."""
        await self.world.release(self.a_point())

    async def finish(self) -> None:
        """Let everybody do what they have begun."""
        await self.world.run_out()

    async def fail(self) -> None:
        """Let a part fail instead."""
        points = [point for point in self.live_points() if point.may_fail]
        if points:
            await self.world.release(points[self.choose(len(points))], fail=True)

    async def hear(self) -> None:
        for worker in self.world.workers:
            if worker.alive and worker.inbox:
                worker.responses.hear(worker.inbox.popleft())
                return

    async def wait(self) -> None:
        self.world.now += [1.0, 6.0, 290.0, 301.0][self.choose(4)]

    async def leave(self) -> None:
        """A client hangs up."""
        tasks = [*(read.task for read in self.reads), *self.writes]
        if tasks:
            tasks[self.choose(len(tasks))].cancel()
            await self.world.settle()

    async def retry(self) -> None:
        """A worker tries again to announce what it could not."""
        task = asyncio.create_task(self.a_worker().invalidations.work_off())
        self.writes.append(task)
        await self.world.settle()

    async def lose_channel(self) -> None:
        worker = self.a_worker()
        worker.lose_channel()
        if self.choose(2):
            worker.notice_loss()
        self.forgotten = True

    async def subscribe(self) -> None:
        self.a_worker().subscribe()

    async def flush(self) -> None:
        self.world.redis.flush()
        self.forgotten = True
        for worker in self.world.workers:
            worker.missed_before = 0
        for read in self.reads:
            read.bound = 0

    async def crash(self) -> None:
        self.a_worker().alive = False
        self.forgotten = True

    def live_points(self) -> list[Point]:
        return [point for point in self.world.points if point.worker.alive]

    def a_point(self) -> Point:
        points = self.live_points()
        return points[self.choose(len(points)) if self.choose(2) else 0]

    def check(self) -> None:
        """Check what was answered since."""
        for read in [read for read in self.reads if read.task.done()]:
            self.reads.remove(read)
            if not read.task.cancelled():
                self.check_answer(read)
        for write in [write for write in self.writes if write.done()]:
            self.writes.remove(write)
            if not write.cancelled():
                with suppress(UnavailableError):
                    self.note(write.result())

    def check_answer(self, read: Read) -> None:
        number = int(read.task.result().body)
        assert number >= read.seen, "older than the caller has seen"
        assert number >= read.bound, "older than what was known"
        assert self.world.database.age_of(number, read.begun) <= LIFETIME, "older than promised"

    def note(self, written: object) -> None:
        revision = getattr(written, "revision", None)
        if revision is not None and revision.number > self.seen.number:
            self.seen = revision

    async def come_to_rest(self) -> None:
        """When nothing fails any more, everybody gets the newest answer."""
        live = [worker for worker in self.world.workers if worker.alive]
        for worker in live:
            self.writes.append(asyncio.create_task(worker.invalidations.work_off()))
            await self.world.settle()
        await self.world.run_out()
        for worker in live:
            # What failed on the way is tried once more.
            self.writes.append(asyncio.create_task(worker.invalidations.work_off()))
            await self.world.settle()
            await self.world.run_out()
        for worker in live:
            while worker.inbox:
                worker.responses.hear(worker.inbox.popleft())
        if self.forgotten:
            self.world.now += LIFETIME
        self.check()
        for worker in live:
            assert worker.invalidations.pending == 0
            for request in REQUESTS:
                task = asyncio.create_task(worker.read(request, None))
                await self.world.settle()
                await self.world.run_out()
                assert int(task.result().body) == self.world.database.revision.number
        for left in asyncio.all_tasks() - {asyncio.current_task()}:
            left.cancel()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_nothing_staler_than_promised(data: st.DataObject) -> None:
    """Whatever happens in whichever order.

    No caller gets an answer older than what it has seen, or what its worker had heard when it
    asked; no answer is out of date for longer than its lifetime; and when all come to rest, all
    get the newest.
    """

    async def explore() -> None:
        await Explorer(data.draw).explore(steps=40)

    asyncio.run(explore())
