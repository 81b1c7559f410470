"""The limit of one budget: a lease is spent here, and Redis asked for the next one."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from server.limits.bucket import LocalBucket
from server.limits.leases import Budget, Lease


class Leases(Protocol):
    """Where leases come from."""

    def may_ask(self) -> bool:
        """Return whether to ask now."""

    async def ask(
        self, budget: Budget, merchant_id: UUID, *, previous: str, waiting: int
    ) -> Lease | None:
        """Return a lease that serves those who wait, where possible; None: there was no answer."""


@dataclass(slots=True)
class Counts:
    """What a limiter has done since it began."""

    asked: int = 0
    """How many leases were asked for."""
    passed: int = 0
    """How many calls passed."""
    refused: int = 0
    """How many calls were refused."""
    fallbacks: int = 0
    """How many of the calls that passed or were refused were decided without Redis."""


class _Share:
    """What this worker holds of one merchant's budget, and the calls that wait for more."""

    __slots__ = ("_waiters", "bucket", "flight", "lapses_at", "lease", "refused_until", "tokens")

    def __init__(self, bucket: LocalBucket) -> None:
        self.bucket = bucket
        self.tokens = 0
        self.lapses_at = 0.0
        self.refused_until = 0.0
        self.lease = ""
        self.flight: asyncio.Task[None] | None = None
        self._waiters: deque[asyncio.Future[float | None]] = deque()

    def spend(self, now: float) -> bool:
        if not self.tokens or now >= self.lapses_at:
            return False
        self.tokens -= 1
        return True

    async def wait(self) -> float | None:
        """Return 0 when the call passes, in how many seconds to come again, or None: who knows."""
        waiter: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return await waiter

    def count_waiting(self) -> int:
        """Return how many calls wait; the cancelled ones are forgotten."""
        self._waiters = deque(waiter for waiter in self._waiters if not waiter.done())
        return len(self._waiters)

    def receive(self, lease: Lease, now: float) -> None:
        """Hand the tokens to those who wait, the longest first, and keep what is left."""
        self.lease = lease.name
        self.tokens = lease.tokens
        self.lapses_at = lease.lapses_at
        self.refused_until = lease.empty_until
        self.tokens -= self._tell(0.0, at_most=lease.tokens)
        if now < self.refused_until:
            self.dismiss(self.refused_until - now)

    def dismiss(self, answer: float | None) -> None:
        """Give all who wait this answer."""
        self._tell(answer, at_most=len(self._waiters))

    def _tell(self, answer: float | None, *, at_most: int) -> int:
        """Give so many of those who wait this answer; return how many there were."""
        told = 0
        while self._waiters and told < at_most:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(answer)
                told += 1
        return told


class RedisRateLimiter:
    """Lets `rate * W + burst` calls of a merchant pass in any `W` seconds, over all workers.

    A lease is spent in memory, and a refusal is remembered until it ends, so Redis is asked for
    each lease and not for each call. A call for which nothing is left waits for the answer that is
    under way, and for the one after it, which counts it in. Tokens belong to those who wait in the
    moment the answer is read: no lease lapses before their turn, however late it comes. So what
    Redis lets pass by its clock may pass here by so much later as an answer takes longer than a
    lease lasts: its time-out less a tenth of a second, and what the process stalls.

    A worker that had no answer in time decides by itself alone, for a second: up to its equal part
    of the rate. At each such change, to and fro, another burst may pass; and while some workers
    have answers and others don't, the parts of these come on top.
    """

    def __init__(
        self,
        budget: Budget,
        leases: Leases,
        *,
        workers: int,
        remembered: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Limit the calls of one budget.

        Args:
            budget: How many calls.
            leases: Where leases come from.
            workers: How many workers share the budget while Redis is silent.
            remembered: How many merchants' shares are kept: those that last needed a lease.
            clock: The time of this worker, in seconds, which never goes back.
        """
        self.counts = Counts()
        self._budget = budget
        self._leases = leases
        self._workers = workers
        self._remembered = remembered
        self._clock = clock
        self._shares: OrderedDict[UUID, _Share] = OrderedDict()

    def take(self, merchant_id: UUID) -> bool:
        """Return whether a call passes by what is leased already."""
        share = self._shares.get(merchant_id)
        if share is None or not share.spend(self._clock()):
            return False
        self.counts.passed += 1
        return True

    async def acquire(self, merchant_id: UUID) -> float:
        """Return 0 when a call passes; else in how many seconds it makes sense to try again."""
        share = self._share(merchant_id)
        wait = await self._find_wait(share, merchant_id)
        if wait is None:
            self.counts.fallbacks += 1
            wait = share.bucket.take(self._clock())
        if wait:
            self.counts.refused += 1
        else:
            self.counts.passed += 1
        return wait

    async def _find_wait(self, share: _Share, merchant_id: UUID) -> float | None:
        """Return what `acquire` does; None: Redis does not say."""
        now = self._clock()
        if share.spend(now):
            return 0.0
        if now < share.refused_until:
            return share.refused_until - now
        # While Redis is tried again, one call waits to see and the others don't.
        if not self._leases.may_ask():
            return None
        if share.flight is None:
            share.flight = asyncio.create_task(self._serve_waiting(share, merchant_id))
        return await share.wait()

    def _share(self, merchant_id: UUID) -> _Share:
        share = self._shares.get(merchant_id)
        if share is None:
            burst = max(1.0, self._budget.burst / self._workers)
            bucket = LocalBucket(rate=self._budget.rate / self._workers, burst=burst)
            share = self._shares[merchant_id] = _Share(bucket)
            if len(self._shares) > self._remembered:
                self._shares.popitem(last=False)
        else:
            self._shares.move_to_end(merchant_id)
        return share

    async def _serve_waiting(self, share: _Share, merchant_id: UUID) -> None:
        """Ask for leases until nobody waits any more."""
        try:
            while waiting := share.count_waiting():
                self.counts.asked += 1
                lease = await self._leases.ask(
                    self._budget, merchant_id, previous=share.lease, waiting=waiting
                )
                if lease is None:
                    return
                share.receive(lease, self._clock())
        finally:
            share.flight = None
            share.dismiss(None)
