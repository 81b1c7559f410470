"""Errors that no client documents, such as RuntimeError of a closed transport, end no work."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis.asyncio import ConnectionPool, Redis, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from structlog.testing import capture_logs

from domain.model.merchant import Revision
from server.cache.breaker import CircuitBreaker
from server.cache.channel import Announcement, Listener, subscribed
from server.cache.redis_cache import RedisCache
from server.cache.shared import SharedCacheUnavailable
from server.limits import Budget, RedisLeases
from tests.support.caches import EPOCH, cache
from tests.support.chain_server import eventually
from tests.support.workers import Stores


class Transport:
    """Whether connections work."""

    def __init__(self) -> None:
        self.is_closed = False
        self.refused = 0


class BreakableConnection(UnixDomainSocketConnection):
    """A real connection that raises what uvloop does of a closed transport."""

    def __init__(self, *, transport: Transport, **options: Any) -> None:
        super().__init__(**options)
        self.transport = transport

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        if self.transport.is_closed:
            self.transport.refused += 1
            raise RuntimeError("the handler is closed")
        return await super().read_response(*arguments, **options)


def connected(url: str, transport: Transport) -> Redis:
    """Return a client whose connections are on the transport."""
    return Redis.from_pool(
        ConnectionPool(
            connection_class=BreakableConnection,
            path=url.removeprefix("unix://"),
            transport=transport,
            retry=Retry(NoBackoff(), 0),
        )
    )


async def test_the_channel_comes_up_again(stores: Stores) -> None:
    """It is down for as long as its transport is, and each change is logged once."""
    transport, is_up = Transport(), asyncio.Event()
    heard: list[Announcement] = []
    listener = Listener(up=is_up.set, down=is_up.clear, heard=heard.append)
    with capture_logs() as logs:
        async with connected(stores.redis_url, transport) as redis, subscribed(redis, listener):
            assert is_up.is_set()
            transport.is_closed = True
            await eventually(lambda: transport.refused > 2)
            assert not is_up.is_set()
            transport.is_closed = False
            await eventually(is_up.is_set)
            async with cache(stores.redis_url) as other:
                await other.invalidations.committed(uuid4(), Revision(EPOCH, 2))
            await eventually(lambda: heard)

    changes = [(each["event"].rpartition(" ")[2], each.get("kind")) for each in logs]
    assert changes == [("down", "RuntimeError"), ("up", None)]


async def test_redis_has_failed(stores: Stores) -> None:
    """For the cache and for the limits it is a failure of Redis like any other."""
    transport = Transport()
    async with connected(stores.redis_url, transport) as redis:
        shared = RedisCache(redis, timeout=1, breaker=CircuitBreaker(failures=1, wait=60))
        leases = RedisLeases(redis, timeout=1)
        budget = Budget.of("read", 100)
        assert await leases.ask(budget, uuid4(), previous="", waiting=1)
        transport.is_closed = True
        assert await leases.ask(budget, uuid4(), previous="", waiting=1) is None
        assert not leases.may_ask()
        transport.is_closed = False
        await shared.announce(uuid4(), Revision(EPOCH, 1), 0)
        transport.is_closed = True
        with pytest.raises(SharedCacheUnavailable):
            await shared.announce(uuid4(), Revision(EPOCH, 1), 0)
        assert (shared.errors, shared.breaker.is_open) == (1, True)


async def test_revisions_are_read_until_they_can_be(stores: Stores) -> None:
    """Look-ups that fail unforeseen are repeated; the first failure and the end are logged."""
    failures = iter(range(3))

    async def read_revision(_merchant_id: UUID) -> Revision:
        for _ in failures:
            raise RuntimeError("the handler is closed")
        return Revision(EPOCH, 5)

    with capture_logs() as logs:
        async with cache(stores.redis_url, read_revision=read_revision) as running:
            running.invalidations.outcome_unknown(uuid4())
            await eventually(lambda: running.invalidations.sent)
            assert not running.invalidations.pending

    told = [each.get("kind") for each in logs if "channel" not in each["event"]]
    assert told == ["RuntimeError", None]


async def test_announcements_wait_for_no_look_up(stores: Stores) -> None:
    """While a revision is being read for long, what could not be announced before is."""
    reading, may_end = asyncio.Event(), asyncio.Event()

    async def read_revision(_merchant_id: UUID) -> Revision:
        reading.set()
        await may_end.wait()
        return Revision(EPOCH, 5)

    async with cache(stores.redis_url, read_revision=read_revision, patience=0.1) as running:
        running.invalidations.outcome_unknown(uuid4())
        await reading.wait()
        with stores.valkey_stopped():
            await running.invalidations.committed(uuid4(), Revision(EPOCH, 2))
        assert running.invalidations.pending == 1
        await eventually(lambda: running.invalidations.sent == 1)
        may_end.set()
        await eventually(lambda: running.invalidations.sent == 2)
        assert not running.invalidations.pending
