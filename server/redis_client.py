"""How a worker asks Redis in the middle of a call: soon, or not at all."""

from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_CONNECTIONS: Final = 32


def quick_redis(url: str, *, patience: float) -> Redis:
    """Return a client of a bounded number of connections that tries nothing for long.

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
    )
    return Redis.from_pool(pool)
