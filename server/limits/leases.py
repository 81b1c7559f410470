"""Tokens that a worker leases from the bucket that all workers share in Redis."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Self
from uuid import UUID

import structlog
from redis.asyncio import Redis

LAPSE: Final = 0.1
"""How many seconds a lease lasts at most; `lease.lua` knows the same."""

_COOL_DOWN: Final = 1.0
"""For how many seconds Redis is left alone after it did not answer."""


@dataclass(frozen=True, slots=True)
class Budget:
    """So many calls a second, for each merchant."""

    name: str
    rate: float
    burst: float
    """In any `W` seconds at most `rate * W + burst` calls pass."""

    @classmethod
    def of(cls, name: str, rate: int) -> Self:
        """Return the budget of this rate, of which a quarter may come at once."""
        return cls(name, rate, max(1, rate / 4))


@dataclass(frozen=True, slots=True)
class Lease:
    """What Redis said."""

    name: str
    """What Redis knows it by, for the next one to replace it."""
    tokens: int
    """How many calls may pass."""
    lapses_at: float
    """Until when they may, on this worker's clock."""
    empty_until: float
    """Before when there is no use in asking for more, on this worker's clock."""


class RedisLeases:
    """Asks Redis for leases, and leaves it alone for a while when it does not answer.

    Redis' own clock counts (https://redis.io/docs/latest/commands/time/), so workers need not agree
    on the time. All keys of a merchant have its id as their hash tag.
    """

    def __init__(
        self, redis: Redis, *, timeout: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Use a Redis.

        Args:
            redis: Where the buckets are.
            timeout: How long to wait for an answer, in seconds.
            clock: The time of this worker, in seconds, which never goes back.
        """
        self._script = redis.register_script(files(__package__).joinpath("lease.lua").read_text())
        self._clock = clock
        self._worker = secrets.token_hex(6)
        self._numbers = itertools.count()
        self._silent = False
        self._rests_until = 0.0
        self._log = structlog.get_logger("patron.limits")
        self._timeout = timeout

    def may_ask(self) -> bool:
        """Return whether to ask Redis now; of those who try a silent one again only the first."""
        if not self._silent:
            return True
        now = self._clock()
        if now < self._rests_until:
            return False
        self._rests_until = now + _COOL_DOWN
        return True

    async def ask(
        self, budget: Budget, merchant_id: UUID, *, previous: str, waiting: int
    ) -> Lease | None:
        """Return a lease, or None when Redis does not answer in time.

        Args:
            budget: What to lease of.
            merchant_id: Whose budget it is.
            previous: The name of the merchant's lease that this worker has used up; empty: none.
            waiting: How many calls wait for it. The lease is not smaller as long as the bucket has
                tokens for them.
        """
        name = f"{self._worker}-{next(self._numbers)}"
        bucket = f"{{{merchant_id}}}:limit:{budget.name}"
        # Before it is sent: the lease may not last longer here than Redis believes.
        asked_at = self._clock()
        try:
            async with asyncio.timeout(self._timeout):
                tokens, wait = await self._script(
                    keys=[bucket, f"{bucket}:leases"],
                    args=[budget.rate, budget.burst, name, previous, waiting],
                )
        except Exception as error:  # noqa: BLE001 - a client of Redis raises more than its own
            self._rest(error)
            return None
        self._answered()
        return Lease(
            f"{name}:{tokens}",
            tokens,
            lapses_at=asked_at + LAPSE,
            empty_until=self._clock() + wait / 1_000_000,
        )

    def _rest(self, error: Exception) -> None:
        self._rests_until = self._clock() + _COOL_DOWN
        if not self._silent:
            self._silent = True
            self._log.warning("redis is silent: limits are local", error=type(error).__name__)

    def _answered(self) -> None:
        if self._silent:
            self._silent = False
            self._log.info("redis answers: limits are shared again")
