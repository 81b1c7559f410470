"""The limit of one budget: a lease is spent here, and Redis asked for the next one."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from server.limits.bucket import LocalBucket
from server.limits.leases import Budget, Lease


class Leases(Protocol):
    """Where leases come from."""

    @property
    def timeout(self) -> float:
        """How long an answer may take, in seconds."""

    def may_ask(self) -> bool:
        """Return whether to ask now."""

    async def ask(self, budget: Budget, merchant_id: UUID, previous: str) -> Lease | None:
        """Return a lease; None: there was no answer."""


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
    """What this worker holds of one merchant's budget."""

    __slots__ = ("bucket", "flight", "lapses_at", "lease", "refused_until", "tokens")

    def __init__(self, bucket: LocalBucket) -> None:
        self.bucket = bucket
        self.tokens = 0
        self.lapses_at = 0.0
        self.refused_until = 0.0
        self.lease = ""
        self.flight: asyncio.Task[bool] | None = None

    def spend(self, now: float) -> bool:
        if not self.tokens or now >= self.lapses_at:
            return False
        self.tokens -= 1
        return True

    def receive(self, lease: Lease) -> None:
        self.lease = lease.name
        self.tokens = lease.tokens
        self.lapses_at = lease.lapses_at
        self.refused_until = lease.empty_until


class RedisRateLimiter:
    """Lets `rate * W + burst` calls of a merchant pass in any `W` seconds, over all workers.

    A lease is spent in memory, and a refusal is remembered until it ends, so Redis is asked for
    each lease and not for each call. While Redis is silent, each worker lets an equal part pass by
    itself; a change from the one to the other may let a second burst pass.
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
        now = self._clock()
        patience = now + self._leases.timeout
        while not share.spend(now):
            if now < share.refused_until:
                self.counts.refused += 1
                return share.refused_until - now
            if now >= patience:
                # What Redis answers has always lapsed or been spent before this call's turn.
                return self._decide_locally(share, now)
            flight = self._flight(share, merchant_id)
            # A caller that is cancelled must not cancel it for the others.
            if flight is None or not await asyncio.shield(flight):
                return self._decide_locally(share, self._clock())
            now = self._clock()
        self.counts.passed += 1
        return 0.0

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

    def _flight(self, share: _Share, merchant_id: UUID) -> asyncio.Task[bool] | None:
        """Return the question to Redis that is under way, or a new one; None: not now."""
        if share.flight is None and self._leases.may_ask():
            self.counts.asked += 1
            share.flight = asyncio.create_task(self._renew(share, merchant_id))
        return share.flight

    async def _renew(self, share: _Share, merchant_id: UUID) -> bool:
        """Return whether Redis answered."""
        try:
            lease = await self._leases.ask(self._budget, merchant_id, share.lease)
        finally:
            share.flight = None
        if lease is None:
            return False
        share.receive(lease)
        return True

    def _decide_locally(self, share: _Share, now: float) -> float:
        self.counts.fallbacks += 1
        wait = share.bucket.take(now)
        if wait:
            self.counts.refused += 1
        else:
            self.counts.passed += 1
        return wait
