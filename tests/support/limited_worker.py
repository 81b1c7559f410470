"""A process that is called at a rate; its arguments: URL, budget, merchant, calls/s, seconds."""

import asyncio
import json
import sys
import time
from dataclasses import asdict
from uuid import UUID

from redis.asyncio import Redis

from server.limits import Budget, RedisLeases, RedisRateLimiter

_BREATH = 0.03
"""Seconds without a call in which nothing of a limit is lost."""


async def drive(
    limiter: RedisRateLimiter, merchant_id: UUID, calls: float, seconds: float
) -> float:
    """Call so often a second, for so many seconds, whether the calls before have ended or not.

    Returns for how many seconds the machine did not let it.
    """
    stalled = 0.0
    async with asyncio.TaskGroup() as group:
        begun, made, last = time.monotonic(), 0, 0.0
        while (elapsed := time.monotonic() - begun) < seconds:
            stalled += max(0.0, elapsed - last - _BREATH)
            last = elapsed
            while made < calls * elapsed:
                made += 1
                if not limiter.take(merchant_id):
                    group.create_task(limiter.acquire(merchant_id))
            await asyncio.sleep(0.001)
    return stalled


async def _main(url: str, budget: str, merchant_id: str, calls: str, seconds: str) -> None:
    async with Redis.from_url(url) as redis:
        leases = RedisLeases(redis, timeout=1)
        limiter = RedisRateLimiter(Budget(**json.loads(budget)), leases, workers=2)
        await redis.ping()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()  # Until all are ready.
        begun = time.monotonic()
        stalled = await drive(limiter, UUID(merchant_id), float(calls), float(seconds))
        times = {"begun": begun, "ended": time.monotonic(), "stalled": stalled}
        report = times | asdict(limiter.counts)
        sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
