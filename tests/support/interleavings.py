"""A world in which somebody else decides what happens next: workers, a database, Redis, a clock.

Everything that waits for a part outside of the worker waits at a point. Whoever explores releases
the points one by one, in any order, and lets a part fail instead.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

from domain.errors import Reason, UnavailableError
from domain.model.caller import Caller
from domain.model.merchant import Revision
from domain.model.request import RequestKey, Written
from domain.ports import WriteTransaction
from server.answers import Computed, Key, Question, Served
from server.cache.channel import Announcement
from server.cache.invalidations import Invalidations
from server.cache.local import LocalCache
from server.cache.responses import ResponseCache
from server.cache.shared import Found, SharedCacheUnavailable, Stored
from server.cache.writer import CacheInvalidatingWriter
from server.tasks import Background
from tests.support.shared_cache import SimulatedSharedCache

T = TypeVar("T")

MERCHANT = UUID(int=1)
LIFETIME = 300.0
LOCAL_LIFETIME = 5.0
_TURNS = 100
"""After how many turns of the loop everybody waits again, or somebody never will."""

Order = tuple[int, int]
"""The place of a revision among those of all epochs."""


@dataclass(eq=False)
class Point:
    """Where somebody waits."""

    worker: "Worker"
    may_fail: bool
    of_database: bool
    gate: "asyncio.Future[bool]" = field(default_factory=asyncio.Future)


class Outage(Exception):
    """The part failed."""


@dataclass
class Epoch:
    """The revisions of one merchant between two restores."""

    name: str
    commits: list[float]
    """When each was committed."""
    requests: dict[UUID, int]
    """The numbers of the revisions that the requests made."""
    ended: float | None = None


class Database:
    """The revisions of one merchant."""

    def __init__(self, now: float) -> None:
        self._epochs = [Epoch("a", [now], {})]

    @property
    def current(self) -> Epoch:
        return self._epochs[-1]

    @property
    def revision(self) -> Revision:
        return Revision(self.current.name, len(self.current.commits) - 1)

    def commit(self, request_id: UUID, now: float) -> Written[Any]:
        """Do what is asked for, unless it was done before."""
        epoch, nothing = self.current, cast("Any", None)
        done = epoch.requests.get(request_id)
        if done is not None:
            old = Revision(epoch.name, done)
            return Written(nothing, old, current=self.revision, replayed=True)
        epoch.commits.append(now)
        epoch.requests[request_id] = self.revision.number
        return Written(nothing, self.revision, current=self.revision)

    def restore(self, now: float) -> None:
        """Go back to what was there half of the revisions ago."""
        lost, kept = self.current, self.revision.number // 2
        lost.ended = now
        requests = {key: number for key, number in lost.requests.items() if number <= kept}
        name = chr(ord(lost.name) + 1)
        self._epochs.append(Epoch(name, lost.commits[: kept + 1], requests))

    def order(self, epoch: str | None, number: int) -> Order:
        """Return the place of a revision; an epoch that nobody knows comes before all."""
        names = [each.name for each in self._epochs]
        return (-1, 0) if epoch is None else (names.index(epoch), number)

    def age_of(self, revision: Revision, at: float) -> float:
        """Return for how many seconds an answer of this revision has been out of date."""
        epoch = next(each for each in self._epochs if each.name == revision.epoch)
        if revision.number + 1 < len(epoch.commits):
            return at - epoch.commits[revision.number + 1]
        return 0.0 if epoch.ended is None else at - epoch.ended


class World:
    """All that there is outside of the workers."""

    def __init__(self, workers: int) -> None:
        self.now = 1_000_000.0
        self.points: list[Point] = []
        self.database = Database(self.now)
        self.redis = SimulatedSharedCache(lambda: self.now, self._publish)
        self.workers = [Worker(self) for _ in range(workers)]

    def _publish(self, announcement: Announcement) -> None:
        for worker in self.workers:
            if worker.subscribed:
                worker.inbox.append(announcement)

    async def point(self, worker: "Worker", *, may_fail: bool, of_database: bool = False) -> None:
        """Wait until released; raises Outage when the part fails instead."""
        point = Point(worker, may_fail, of_database)
        self.points.append(point)
        if await point.gate:
            raise Outage

    async def release(self, point: Point, *, fail: bool = False) -> None:
        """Let one go on, until everybody waits again."""
        self.points.remove(point)
        if not point.gate.done():
            point.gate.set_result(fail)
        await self.settle()

    async def settle(self) -> None:
        """Let everybody go on to the next point."""
        loop: Any = asyncio.get_running_loop()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if not loop._ready:
                return
        raise AssertionError("somebody goes on for ever")

    async def restore(self) -> None:
        """Have the database restored: who asks it meanwhile loses the connection."""
        self.database.restore(self.now)
        for point in [point for point in self.points if point.of_database]:
            self.points.remove(point)
            if not point.gate.done():
                point.gate.set_result(True)
        await self.settle()

    def restart(self, worker: "Worker") -> None:
        """Put a new worker in the place of one that has crashed."""
        self.workers[self.workers.index(worker)] = started = Worker(self)
        started.subscribe()

    async def run_out(self) -> None:
        """Let all live workers finish what they do, without a failure."""
        while points := [point for point in self.points if point.worker.alive]:
            await self.release(points[0])


def key_of(request: bytes) -> Key:
    """Return the key of a call."""
    return Key(MERCHANT, "/method", request)


class Worker:
    """One process: the real cache, on parts that wait at points."""

    def __init__(self, world: World) -> None:
        self.alive = True
        self.subscribed = False
        self.missed_before: Order = (-1, 0)
        """The revision that Redis knew when the worker subscribed."""
        self.written: Order = (-1, 0)
        """The highest revision that the worker has answered a write with."""
        self.inbox: deque[Announcement] = deque()
        self.world = world
        background = Background()
        shared = _Redis(self)
        self.responses = ResponseCache(
            LocalCache(capacity=100_000, clock=lambda: world.now),
            shared,
            background,
            local_lifetime=LOCAL_LIFETIME,
            clock=lambda: world.now,
            chance=lambda: 0.9,
        )
        self.invalidations = Invalidations(
            self.responses, shared, self._read_revision, clock=lambda: world.now
        )
        self._writer = CacheInvalidatingWriter(_Writer(self), self.invalidations, background)

    def bound(self, request: bytes) -> Order:
        """Return the revision that is known to whatever would answer a call now."""
        key, local = key_of(request), self.responses.local
        heard = local._heard.get(MERCHANT)
        known = [self.order(heard.revision if heard else 0), self.written]
        if key not in self.responses._flights:
            known.append(self.missed_before)
            kept = local._entries.get(key)
            # An entry that something newer was heard of, or that has expired, is not found.
            if kept is None or kept.revision < kept.heard.revision or kept.expires <= local.clock():
                known.append(self.known_to_redis())
        return max(known)

    def order(self, number: int) -> Order:
        """Return the place of a revision of the epoch that the worker knows."""
        return self.world.database.order(self.responses._epoch, number)

    def known_to_redis(self) -> Order:
        """Return what Redis knows of the epoch that the worker knows."""
        return self.order(self.world.redis.known(MERCHANT, self.responses._epoch or ""))

    def hear(self) -> None:
        """Hear the next announcement."""
        self.responses.hear(self.inbox.popleft())
        if self.responses._epoch is None:
            # It knows nothing any more until the database tells it which epoch is over.
            self.missed_before = self.written = (-1, 0)

    async def read(self, request: bytes, seen: Revision | None) -> Served:
        """Answer a call."""
        key = key_of(request)
        served = self.responses.find(key, seen)
        if served is None:
            question = Question(key, b"schema", LIFETIME, self._compute)
            served = await self.responses.get(question, seen)
        return served

    async def write(self, request_id: UUID) -> Written[Any]:
        """Answer a write, or the repetition of one."""
        key = RequestKey(request_id, "/write", b"")
        written = await self._writer.write(Caller(MERCHANT, "somebody"), key, object, _nothing)
        current = self.world.database.order(written.current.epoch, written.current.number)
        self.written = max(self.written, current)
        return written

    def subscribe(self) -> None:
        """Hear of what is announced from now on."""
        self.inbox.clear()
        self.subscribed = True
        self.missed_before = self.known_to_redis()
        self.responses.local.open()

    def lose_channel(self) -> None:
        """Hear nothing any more, what is under way included, and not know of it yet."""
        self.subscribed = False
        self.inbox.clear()

    def notice_loss(self) -> None:
        """Find out that the channel is lost."""
        self.responses.local.close()

    async def _compute(self) -> Computed:
        revision = await self.ask_database(lambda: self.world.database.revision, may_fail=False)
        return Computed(str(revision).encode(), revision, self.world.now + 86_400)

    async def _read_revision(self, _: UUID) -> Revision:
        return await self.ask_database(lambda: self.world.database.revision, may_fail=False)

    async def ask_database(self, operation: Callable[[], T], *, may_fail: bool) -> T:
        """Have the database do something; the way there and back may be slow, or fail."""
        try:
            await self.world.point(self, may_fail=may_fail, of_database=True)
            done = operation()
            await self.world.point(self, may_fail=may_fail, of_database=True)
        except Outage:
            raise UnavailableError(Reason.DEPENDENCY_UNAVAILABLE, "gone") from None
        return done


class _Redis:
    """The way to Redis and back: either may be slow or fail."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def fetch(self, merchant_id: UUID, epoch: str, name: bytes) -> Found:
        return await self._there_and_back(
            lambda: self._worker.world.redis.fetch(merchant_id, epoch, name)
        )

    async def fill(self, merchant_id: UUID, epoch: str, name: bytes, stored: Stored) -> int:
        return await self._there_and_back(
            lambda: self._worker.world.redis.fill(merchant_id, epoch, name, stored)
        )

    async def announce(self, merchant_id: UUID, revision: Revision, committed_at: float) -> None:
        await self._there_and_back(
            lambda: self._worker.world.redis.announce(merchant_id, revision, committed_at)
        )

    async def _there_and_back(self, operation: Callable[[], Awaitable[T]]) -> T:
        try:
            await self._worker.world.point(self._worker, may_fail=True)
            done = await operation()
            await self._worker.world.point(self._worker, may_fail=True)
        except Outage:
            raise SharedCacheUnavailable from None
        return done


class _Writer:
    """Commits; the port is `domain.ports.Writer`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def write(
        self,
        caller: Caller,
        key: RequestKey | None,
        answer: type[T],
        work: Callable[[WriteTransaction], Awaitable[T]],
    ) -> Written[T]:
        world, request_id = self._worker.world, key.id if key else uuid4()
        return await self._worker.ask_database(
            lambda: world.database.commit(request_id, world.now), may_fail=True
        )


async def _nothing(_transaction: WriteTransaction) -> Any:
    return None
