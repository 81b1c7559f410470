"""A process that is called at a rate; its arguments: URL, budget, merchant, calls/s, seconds."""

import asyncio
import json
import sys
import time
from dataclasses import asdict
from uuid import UUID

from redis.asyncio import Redis

from server.limits import Budget, RedisLeases, RedisRateLimiter


async def drive(limiter: RedisRateLimiter, merchant_id: UUID, calls: float, seconds: float) -> None:
    """Call so often a second, for so many seconds, whether the calls before have ended or not."""
    async with asyncio.TaskGroup() as group:
        begun, made = time.monotonic(), 0
        while (elapsed := time.monotonic() - begun) < seconds:
            while made < calls * elapsed:
                made += 1
                if not limiter.take(merchant_id):
                    group.create_task(limiter.acquire(merchant_id))
            await asyncio.sleep(0.001)


async def _main(url: str, budget: str, merchant_id: str, calls: str, seconds: str) -> None:
    async with Redis.from_url(url) as redis:
        leases = RedisLeases(redis, timeout=1)
        limiter = RedisRateLimiter(Budget(**json.loads(budget)), leases, workers=2)
        sys.stdin.readline()  # Until all are ready.
        begun = time.monotonic()
        await drive(limiter, UUID(merchant_id), float(calls), float(seconds))
        report = {"begun": begun, "ended": time.monotonic(), **asdict(limiter.counts)}
        sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
