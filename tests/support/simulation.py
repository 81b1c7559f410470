"""Workers that share limits by the real script in a real Valkey, in a time of their own."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, cast
from uuid import UUID, uuid4

import redis as blocking
from redis.asyncio import Redis

from server.limits import Budget, RedisLeases, RedisRateLimiter

_CLOCK = "redis.call('TIME')"
_STEPS = 20
"""More than any task takes from one wait to the next."""


class Time:
    """A clock that goes as it is told to, and what waits for it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait in this time."""
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self.now + seconds, next(self._order), waiter))
        await waiter

    async def advance(self, seconds: float) -> None:
        """Let time pass, and all happen in its order that waits for it."""
        await _settle()
        end = self.now + seconds
        while self._waiting and self._waiting[0][0] <= end:
            self.now, _, waiter = heapq.heappop(self._waiting)
            waiter.set_result(None)
            await _settle()
        self.now = end


async def _settle() -> None:
    for _ in range(_STEPS):
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Network:
    """What is between the workers and Redis; times are in seconds."""

    distance: Callable[[], float]
    """How long a message takes, one way."""
    timeout: float = 60.0
    """After which time without an answer a worker gives up."""
    stall: Callable[[], float] = lambda: 0.0
    """How late a worker, busy with something else, gets to see what there is."""


class TimedRedis:
    """A Valkey that is some time away, and whose clock is the simulation's."""

    def __init__(self, server: blocking.Redis, time: Time, network: Network) -> None:
        self._server = server
        self._time = time
        self._network = network
        self._late: set[asyncio.Task[Any]] = set()

    def register_script(self, text: str) -> Callable[..., Any]:
        assert text.count(_CLOCK) == 1
        script = self._server.register_script(
            text.replace(_CLOCK, "{math.floor(ARGV[6] / 1000000), ARGV[6] % 1000000}")
        )

        async def answer(there: float, keys: list[str], args: list[Any]) -> Any:
            await self._time.sleep(there)
            return script(keys=keys, args=[*args, round(self._time.now * 1_000_000)])

        async def run(keys: list[str], args: list[Any]) -> Any:
            there, back = self._network.distance(), self._network.distance()
            patience = self._network.timeout
            if there + back <= patience:
                said = await answer(there, keys, args)
                await self._time.sleep(back + self._network.stall())
                return said
            # Redis leases the tokens all the same.
            late = asyncio.create_task(answer(there, keys, args))
            self._late.add(late)
            late.add_done_callback(self._late.discard)
            await self._time.sleep(patience + self._network.stall())
            raise TimeoutError

        return run


class Workers:
    """Several workers that share one merchant's budget, and when their calls passed."""

    def __init__(
        self, server: blocking.Redis, budget: Budget, count: int, network: Network
    ) -> None:
        self.time = Time()
        self.passed: list[float] = []
        self.refused = 0
        self.waits: list[float] = []
        """How many seconds each call waited for what became of it."""
        self._merchant_id: UUID = uuid4()
        redis = cast("Redis", TimedRedis(server, self.time, network))
        self.limiters = [
            RedisRateLimiter(
                budget,
                RedisLeases(redis, timeout=60, clock=self.time),
                workers=count,
                clock=self.time,
            )
            for _ in range(count)
        ]
        self._calls: set[asyncio.Task[None]] = set()

    def call(self, worker: int, times: int) -> Self:
        """Have a worker called by so many clients at once."""
        for _ in range(times):
            call = asyncio.create_task(self._call(self.limiters[worker % len(self.limiters)]))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        return self

    async def _call(self, limiter: RedisRateLimiter) -> None:
        begun = self.time.now
        if limiter.take(self._merchant_id) or not await limiter.acquire(self._merchant_id):
            self.passed.append(self.time.now)
        else:
            self.refused += 1
        self.waits.append(self.time.now - begun)

    async def finish(self) -> None:
        """Wait for all calls."""
        while self._calls:
            await self.time.advance(1)


def largest_excess(passed: list[float], rate: float) -> float:
    """Return the most calls by which any window of time exceeds its `rate * W`."""
    excess = largest = 0.0
    last = passed[0] if passed else 0.0
    for at in passed:
        excess = max(0.0, excess - rate * (at - last)) + 1
        largest, last = max(largest, excess), at
    return largest
