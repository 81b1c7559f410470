"""The second tier in Redis."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from redis.asyncio import Redis

from domain.model.merchant import Revision
from server.cache.breaker import CircuitBreaker
from server.cache.channel import CHANNEL, Announcement
from server.cache.shared import Found, SharedCacheUnavailable, Stored

_REVISION_MS: Final = 15 * 60 * 1000
"""How long a revision is remembered after it was last told: longer than any answer lives."""

# The revision only rises. Where it was forgotten, a fill makes it known again.
_FILL: Final = f"""
local known = tonumber(redis.call('GET', KEYS[1]) or '-1')
local read = tonumber(ARGV[1])
if known > read then
  return known
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', {_REVISION_MS})
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return read
"""
_ANNOUNCE: Final = f"""
local known = tonumber(redis.call('GET', KEYS[1]) or '-1')
if tonumber(ARGV[1]) > known then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', {_REVISION_MS})
else
  redis.call('PEXPIRE', KEYS[1], {_REVISION_MS})
end
redis.call('PUBLISH', '{CHANNEL}', ARGV[2])
return 1
"""


class RedisCache:
    """Keeps answers in Redis or Valkey; the port is `server.cache.shared.SharedCache`.

    The keys of a merchant have one hash tag, so that one script may use them on a cluster too.
    """

    def __init__(self, redis: Redis, *, timeout: float, breaker: CircuitBreaker) -> None:
        """Use a client of Redis.

        Args:
            redis: The client.
            timeout: How many seconds an answer of Redis is waited for.
            breaker: Spares calls the wait while Redis does not answer.
        """
        self.errors = 0
        """How often Redis did not answer."""
        self.breaker = breaker
        self._redis = redis
        self._timeout = timeout
        self._fill = redis.register_script(_FILL)
        self._announce = redis.register_script(_ANNOUNCE)

    async def fetch(self, merchant_id: UUID, epoch: str, name: bytes) -> Found:
        keys = _revision_key(merchant_id, epoch), _answer_key(merchant_id, name)
        revision, packed = await self._answered(lambda: self._redis.mget(*keys))
        try:
            return Found(
                None if revision is None else int(revision),
                None if packed is None else Stored.unpack(packed),
            )
        except ValueError:
            # Whatever wrote it, it was no worker of this release: it will be written anew.
            return Found(None, None)

    async def fill(self, merchant_id: UUID, epoch: str, name: bytes, stored: Stored) -> int:
        lifetime = max(1, int((stored.expires_at - time.time()) * 1000))
        keys: list[bytes | str] = [
            _revision_key(merchant_id, epoch),
            _answer_key(merchant_id, name),
        ]
        arguments: list[bytes | int] = [stored.revision, stored.pack(), lifetime]
        return int(await self._answered(lambda: self._fill(keys=keys, args=arguments)))

    async def announce(self, merchant_id: UUID, revision: Revision, committed_at: float) -> None:
        told = Announcement(merchant_id, revision, committed_at).pack()
        keys = [_revision_key(merchant_id, revision.epoch)]
        await self._answered(lambda: self._announce(keys=keys, args=[revision.number, told]))

    async def _answered(self, command: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - as redis-py has it
        if not self.breaker.permits():
            raise SharedCacheUnavailable
        try:
            # A command that is given up takes its connection with it: the late reply goes nowhere.
            async with asyncio.timeout(self._timeout):
                answer = await command()
        except Exception as error:
            # The client raises more than its own errors: of a closed transport, RuntimeError.
            self.errors += 1
            self.breaker.failed()
            raise SharedCacheUnavailable from error
        self.breaker.succeeded()
        return answer


def _revision_key(merchant_id: UUID, epoch: str) -> str:
    return f"{{{merchant_id}}}:{epoch}:rev"


def _answer_key(merchant_id: UUID, name: bytes) -> bytes:
    return b"{%b}:answer:%b" % (str(merchant_id).encode(), name)
