"""How a worker hears of writes that others made."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID

import structlog
from redis.asyncio import Redis

from domain.model.merchant import Revision
from server.logs import Condition

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

CHANNEL: Final = "patron:revisions"
"""The channel on which every new revision is announced."""

_PING_EVERY: Final = 1.0
_SILENCE: Final = 3.0
"""After how many silent seconds, pings unanswered, the connection counts as lost."""
_RETRY_AFTER: Final = 0.2
_HEAD: Final = struct.Struct("<16sQd")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Announcement:
    """A merchant has reached a revision."""

    merchant_id: UUID
    revision: Revision
    committed_at: float
    """When it was seen committed, in seconds since the epoch of Unix."""

    def pack(self) -> bytes:
        """Return the announcement as bytes."""
        head = _HEAD.pack(self.merchant_id.bytes, self.revision.number, self.committed_at)
        return head + self.revision.epoch.encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return the announcement that `pack` made bytes of; raises ValueError for any others."""
        try:
            merchant, number, committed_at = _HEAD.unpack_from(packed)
        except struct.error as error:
            raise ValueError("not an announcement") from error
        epoch = packed[_HEAD.size :].decode()
        return cls(UUID(bytes=merchant), Revision(epoch, number), committed_at)


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom the channel tells."""

    up: Callable[[], None]
    """Every write from now on will be heard of."""
    down: Callable[[], None]
    """Writes may be missed from now on."""
    heard: Callable[[Announcement], None]


@asynccontextmanager
async def subscribed(redis: Redis, listener: Listener) -> AsyncIterator[None]:
    """Tell the listener what happens for as long as the body runs; reconnect whenever it is lost.

    The body begins when the subscription is up, or could not be had at once.
    """
    tried = asyncio.Event()
    listening = asyncio.create_task(_listen_for_ever(redis, listener, tried))
    try:
        await tried.wait()
        yield
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def _listen_for_ever(redis: Redis, listener: Listener, tried: asyncio.Event) -> None:
    channel = Condition(
        _log, fails="the channel of revisions is down", works="the channel of revisions is up"
    )

    def up() -> None:
        listener.up()
        channel.worked()
        tried.set()

    while True:
        try:
            async with redis.pubsub() as subscription:
                async with asyncio.timeout(_SILENCE):
                    await subscription.subscribe(CHANNEL)
                await _listen(subscription, up, listener.heard)
        except Exception as error:  # noqa: BLE001 - a client of Redis raises more than its own
            channel.failed(error)
        finally:
            listener.down()
            tried.set()
        await asyncio.sleep(_RETRY_AFTER)


async def _listen(
    subscription: "PubSub", up: Callable[[], None], heard: Callable[[Announcement], None]
) -> None:
    """Pass on what is heard; raises when the connection is lost, or silent for too long."""
    last_sign = time.monotonic()
    while True:
        # The client would connect again by itself, and nobody knew what was missed meanwhile.
        async with asyncio.timeout(_SILENCE):
            message = await subscription.get_message(timeout=_PING_EVERY)
        now = time.monotonic()
        if message is None:
            if now - last_sign > _SILENCE:
                raise TimeoutError
            async with asyncio.timeout(_SILENCE):
                await subscription.ping()
            continue
        last_sign = now
        if message["type"] == "subscribe":
            up()
        elif message["type"] == "message":
            _pass_on(message["data"], heard)


def _pass_on(packed: bytes, heard: Callable[[Announcement], None]) -> None:
    try:
        announcement = Announcement.unpack(packed)
    except ValueError:
        _log.warning("something on the channel of revisions is no announcement")
    else:
        heard(announcement)
