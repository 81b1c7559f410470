"""No order of reads, writes, losses, crashes, restores and pauses serves what is not promised."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import FailedPreconditionError, UnavailableError
from domain.model.merchant import Revision
from domain.model.request import Written
from server.answers import Served
from tests.support.interleavings import LIFETIME, Order, Point, Worker, World

REQUESTS = [b"one", b"two"]


@dataclass
class Read:
    """A call that reads, and what its answer must be like."""

    task: "asyncio.Task[Served]"
    begun: float
    epoch: str
    """The epoch of the database when it began."""
    seen: Revision | None
    bound: Order
    """What was known when it began, to its worker or to Redis where that would be asked."""


class Explorer:
    """Does one thing after another, as it is told, and checks every answer."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self.world = World(workers=2)
        self.reads: list[Read] = []
        self.writes: list[asyncio.Task[object]] = []
        self.requests: list[UUID] = []
        self.seen = self.lost = Revision("a", 0)
        self.forgotten = False
        """Whether something that nobody makes good has happened: only the lifetime bounds it."""
        self._draw = draw
        self._is_calm = self.choose(2) == 0
        """Whether nothing happens that only a lifetime makes good, so that all must be told."""

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
        for left in asyncio.all_tasks() - {asyncio.current_task()}:
            left.cancel()

    def actions(self) -> list[Callable[[], Awaitable[None]]]:
        """Return what could happen now; the usual things are there more than once."""
        live = [worker for worker in self.world.workers if worker.alive]
        usual = [self.read, self.write, self.wait]
        if self.live_points():
            usual += [self.release] * 4
        if any(worker.inbox for worker in live):
            usual += [self.hear]
        rare = [self.leave, self.fail, self.fail, self.retry]
        if self.requests:
            rare += [self.repeat]
        if self._is_calm:
            return [*usual, *usual, *rare, self.come_to_rest]
        rare += [self.finish, self.lose_channel, self.subscribe]
        if len(live) > 1:
            rare += [self.flush, self.crash, self.restore]
        else:
            rare += [self.restart] * 4
        return [*usual, *usual, *rare]

    def a_worker(self) -> Worker:
        live = [worker for worker in self.world.workers if worker.alive]
        return live[self.choose(len(live))]

    async def read(self) -> None:
        """Ask something; some callers have seen the newest answer to a write, some a lost one."""
        worker = self.a_worker()
        request = REQUESTS[0 if self._is_calm else self.choose(len(REQUESTS))]
        seen = [None, None, self.seen, self.seen, self.lost][self.choose(5)]
        bound = worker.bound(request)
        task = asyncio.create_task(worker.read(request, seen))
        epoch = self.world.database.current.name
        self.reads.append(Read(task, self.world.now, epoch, seen, bound))
        await self.world.settle()

    async def write(self) -> None:
        self.requests.append(UUID(int=len(self.requests)))
        await self.send(self.requests[-1])

    async def repeat(self) -> None:
        """Send a request again that may have been answered, anywhere."""
        await self.send(self.requests[self.choose(len(self.requests))])

    async def send(self, request_id: UUID) -> None:
        task: asyncio.Task[object] = asyncio.create_task(self.a_worker().write(request_id))
        self.writes.append(task)
        await self.world.settle()

    async def release(self) -> None:
        """Let one who waits go on."""
        await self.world.release(self.one_of(self.live_points()))

    async def finish(self) -> None:
        """Let everybody do what they have begun."""
        await self.world.run_out()

    async def fail(self) -> None:
        """Let a part fail instead."""
        points = [point for point in self.live_points() if point.may_fail]
        if points:
            await self.world.release(self.one_of(points), fail=True)

    async def hear(self) -> None:
        for worker in self.world.workers:
            if worker.alive and worker.inbox:
                worker.hear()
                return

    async def wait(self) -> None:
        self.world.now += [1.0, 6.0, 290.0, 301.0][self.choose(2 if self._is_calm else 4)]

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
            worker.missed_before = (-1, 0)
        for read in self.reads:
            read.bound = (-1, 0)

    async def crash(self) -> None:
        self.a_worker().alive = False
        self.forgotten = True

    async def restart(self) -> None:
        """A worker that has crashed comes back."""
        for worker in self.world.workers:
            if not worker.alive:
                self.world.restart(worker)

    async def restore(self) -> None:
        """The database is replaced by what it was before."""
        await self.world.restore()
        self.lost = self.seen
        # Nobody is told: workers find out when they next ask the database.
        self.forgotten = True

    def live_points(self) -> list[Point]:
        return [point for point in self.world.points if point.worker.alive]

    def one_of(self, points: list[Point]) -> Point:
        """Return who came first, who came last, or any."""
        return points[[0, -1, self.choose(len(points))][self.choose(3)]]

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
        database = self.world.database
        try:
            told = Revision.parse(read.task.result().body.decode())
        except FailedPreconditionError:
            assert read.seen is not None
            assert read.seen.epoch != database.current.name, "refused what the database has"
            return
        except UnavailableError:
            assert read.epoch != database.current.name, "failed though nothing did"
            return
        assert read.seen is None or told.contains(read.seen), "older than the caller has seen"
        assert database.order(told.epoch, told.number) >= read.bound, "older than what was known"
        assert database.age_of(told, read.begun) <= LIFETIME, "older than promised"

    def note(self, written: object) -> None:
        """Keep the newest revision that a client was told of."""
        order = self.world.database.order
        if isinstance(written, Written):
            self.seen = max(self.seen, written.revision, key=lambda it: order(it.epoch, it.number))

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
                worker.hear()
        if self.forgotten:
            self.world.now += LIFETIME
        self.check()
        for worker in live:
            assert worker.invalidations.pending == 0
            for request in REQUESTS:
                task = asyncio.create_task(worker.read(request, None))
                await self.world.settle()
                await self.world.run_out()
                assert task.result().body.decode() == str(self.world.database.revision)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_nothing_staler_than_promised(data: st.DataObject) -> None:
    """Whatever happens in whichever order.

    No caller gets an answer older than what it has seen, or what its worker had heard when it
    asked; no answer is out of date for longer than its lifetime; after a restore no revision of
    before it is taken for one of after it; and when all come to rest, all get the newest.
    """

    async def explore() -> None:
        await Explorer(data.draw).explore(steps=40)

    asyncio.run(explore())
