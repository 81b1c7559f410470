"""A world in which somebody else decides what happens next: workers, a database, Redis, a clock.

Everything that waits for a part outside of the worker waits at a point. Whoever explores releases
the points one by one, in any order, and lets a part fail instead.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

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
_TURNS = 12
"""How many turns of the loop it takes at most until everybody waits again."""


@dataclass(eq=False)
class Point:
    """Where somebody waits."""

    worker: "Worker"
    may_fail: bool
    gate: "asyncio.Future[bool]" = field(default_factory=asyncio.Future)


class Outage(Exception):
    """The part failed."""


class Database:
    """The revisions of one merchant, and when each was committed."""

    def __init__(self) -> None:
        self.epoch = "a"
        self.commits: list[float] = [0.0]

    @property
    def revision(self) -> Revision:
        return Revision(self.epoch, len(self.commits) - 1)

    def age_of(self, number: int, at: float) -> float:
        """Return for how many seconds an answer of this revision has been out of date."""
        return at - self.commits[number + 1] if number + 1 < len(self.commits) else 0.0


class World:
    """All that there is outside of the workers."""

    def __init__(self, workers: int) -> None:
        self.now = 1_000_000.0
        self.points: list[Point] = []
        self.database = Database()
        self.database.commits[0] = self.now
        self.redis = SimulatedSharedCache(lambda: self.now, self._publish)
        self.workers = [Worker(self) for _ in range(workers)]

    def _publish(self, announcement: Announcement) -> None:
        for worker in self.workers:
            if worker.subscribed:
                worker.inbox.append(announcement)

    async def point(self, worker: "Worker", *, may_fail: bool) -> None:
        """Wait until released; raises Outage when the part fails instead."""
        point = Point(worker, may_fail)
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
        for _ in range(_TURNS):
            await asyncio.sleep(0)

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
        self.missed_before = 0
        """The number of the revision that Redis knew when the worker subscribed."""
        self.written = 0
        """The number of the highest revision that the worker has answered a write with."""
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

    def bound(self, request: bytes) -> int:
        """Return the number of the revision that is known to whatever would answer a call now."""
        key = key_of(request)
        heard = self.responses.local.heard_of(MERCHANT).revision
        at_hand = key in self.responses._flights or self.responses.local.find(key, self.world.now)
        known = 0 if at_hand else self.world.redis.known(MERCHANT, self.world.database.epoch)
        return max(heard, known, self.missed_before, self.written)

    async def read(self, request: bytes, seen: Revision | None) -> Served:
        """Answer a call."""
        key = key_of(request)
        served = self.responses.find(key, seen)
        if served is None:
            question = Question(key, b"schema", LIFETIME, self._compute)
            served = await self.responses.get(question, seen)
        return served

    async def write(self) -> Written[Any]:
        """Answer a write."""
        written = await self._writer.write(Caller(MERCHANT, "somebody"), None, object, _nothing)
        self.written = max(self.written, written.revision.number)
        return written

    def subscribe(self) -> None:
        """Hear of what is announced from now on."""
        self.inbox.clear()
        self.subscribed = True
        self.missed_before = self.world.redis.known(MERCHANT, self.world.database.epoch)
        self.responses.local.open()

    def lose_channel(self) -> None:
        """Hear nothing any more, what is under way included, and not know of it yet."""
        self.subscribed = False
        self.inbox.clear()

    def notice_loss(self) -> None:
        """Find out that the channel is lost."""
        self.responses.local.close()

    async def _compute(self) -> Computed:
        await self.world.point(self, may_fail=False)
        revision = self.world.database.revision
        await self.world.point(self, may_fail=False)
        return Computed(str(revision.number).encode(), revision, self.world.now + 86_400)

    async def _read_revision(self, _: UUID) -> Revision:
        await self.world.point(self, may_fail=False)
        return self.world.database.revision


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
        world = self._worker.world
        try:
            await world.point(self._worker, may_fail=True)
            world.database.commits.append(world.now)
            revision = world.database.revision
            await world.point(self._worker, may_fail=True)
        except Outage:
            raise UnavailableError(Reason.DEPENDENCY_UNAVAILABLE, "gone") from None
        nothing: Any = None
        return Written(nothing, revision, current=revision)


async def _nothing(_transaction: WriteTransaction) -> Any:
    return None
