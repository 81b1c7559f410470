"""Telling running servers that a command has changed what their kept answers reflect."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final
from uuid import UUID

import click

from domain.model.merchant import Revision
from server.settings import Settings

_PATIENCE: Final = 2.0
_OUT_OF_DATE: Final = (
    "Redis cannot be reached: reports of running servers may be out of date for five minutes."
)

Announce = Callable[[UUID, Revision], Awaitable[None]]
"""Announces that a merchant has reached a revision."""


@contextmanager
def shared_redis(settings: Settings) -> Iterator[str | None]:
    """Lend the URL of the Redis that keeps answers; None: nothing has ever been kept."""
    from server.embedded import EmbeddedValkey

    if settings.redis_url or not EmbeddedValkey.has_data(settings.data_dir):
        yield settings.redis_url
    else:
        with EmbeddedValkey(settings.data_dir) as url:
            yield url


@asynccontextmanager
async def announcing(redis_url: str | None) -> AsyncIterator[Announce]:
    """Lend the way to announce. Where Redis cannot be reached, that is said once, on stderr."""
    from redis.asyncio import Redis

    from server.cache.breaker import CircuitBreaker
    from server.cache.redis_cache import RedisCache
    from server.cache.shared import SharedCacheUnavailable

    async def nowhere(_merchant_id: UUID, _revision: Revision) -> None:
        """Do nothing."""

    if redis_url is None:
        yield nowhere
        return
    async with Redis.from_url(redis_url) as redis:
        breaker = CircuitBreaker(failures=1, wait=float("inf"))
        cache = RedisCache(redis, timeout=_PATIENCE, breaker=breaker)

        async def announce(merchant_id: UUID, revision: Revision) -> None:
            was_open = breaker.is_open
            try:
                await cache.announce(merchant_id, revision, time.time())
            except SharedCacheUnavailable:
                if not was_open:
                    click.echo(_OUT_OF_DATE, err=True)

        yield announce
