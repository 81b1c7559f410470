"""The cache of one worker, put together."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from server.cache.breaker import CircuitBreaker
from server.cache.channel import Announcement, Listener, subscribed
from server.cache.invalidations import Invalidations, ReadRevision
from server.cache.local import LocalCache
from server.cache.redis_cache import RedisCache
from server.cache.responses import ResponseCache
from server.redis_client import NONE_OF_ITS_OWN, quick_redis
from server.tasks import Background

_FAILURES: Final = 3
_BREAK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Cache:
    """The parts of the cache that others work with."""

    responses: ResponseCache
    invalidations: Invalidations
    shared: RedisCache


@asynccontextmanager
async def running_cache(
    redis_url: str,
    read_revision: ReadRevision,
    background: Background,
    *,
    patience: float,
    local_lifetime: float,
    local_capacity: int,
    observe_lag: Callable[[float], None],
) -> AsyncIterator[Cache]:
    """Run the cache for as long as the body runs; Redis need not be there.

    Args:
        redis_url: Where the answers for all workers are.
        read_revision: Reads a merchant's revision from the database.
        background: Where computations run.
        patience: How many seconds a call waits for Redis.
        local_lifetime: For how many seconds an answer stays in the worker's memory.
        local_capacity: How many bytes these answers may take.
        observe_lag: Is told of each write how many seconds after its commit it was heard of.
    """
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(quick_redis(redis_url, patience=patience))
        # A lost channel is told at once; `subscribed` connects again.
        listening = await stack.enter_async_context(
            Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0), socket_timeout=NONE_OF_ITS_OWN)
        )
        breaker = CircuitBreaker(failures=_FAILURES, wait=_BREAK_SECONDS)
        shared = RedisCache(redis, timeout=patience, breaker=breaker)
        local = LocalCache(capacity=local_capacity)
        responses = ResponseCache(local, shared, background, local_lifetime=local_lifetime)
        invalidations = Invalidations(responses, shared, read_revision)
        await stack.enter_async_context(invalidations.running())

        def hear(announcement: Announcement) -> None:
            # The clocks of two machines may differ.
            observe_lag(max(0.0, time.time() - announcement.committed_at))
            responses.hear(announcement)

        listener = Listener(up=local.open, down=local.close, heard=hear)
        await stack.enter_async_context(subscribed(listening, listener))
        yield Cache(responses, invalidations, shared)
