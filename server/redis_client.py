"""How a worker asks Redis in the middle of a call: soon, or not at all."""

import asyncio
from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

NONE_OF_ITS_OWN: Final = None
"""The time-out of a command inside the client, where the caller has one around it.

With one, the client sends by `asyncio.wait_for`, which before Python 3.12 loses a cancellation that
comes while it sends: a command that was to be given up would wait on.
"""
_CONNECTIONS: Final = 32
_SIGN_OF_LIFE: Final = 2.0


def quick_redis(url: str, *, patience: float) -> Redis:
    """Return a client of a bounded number of connections that tries nothing for long.

    A command itself has no time-out: whoever runs one puts it into `asyncio.timeout`.

    Args:
        url: Where Redis is.
        patience: For how many seconds to wait for a connection, a new one or one that is free.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=patience,
        # A connection that the server has closed meanwhile is not worth an error.
        retry=Retry(NoBackoff(), 1),
        socket_connect_timeout=patience,
        socket_timeout=NONE_OF_ITS_OWN,
    )
    return Redis.from_pool(pool)


async def ping(redis: Redis) -> None:
    """Ask Redis for a sign of life; raises when there is none within two seconds."""
    async with asyncio.timeout(_SIGN_OF_LIFE):
        await redis.ping()
