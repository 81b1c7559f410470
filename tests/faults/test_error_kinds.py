"""Merchants are counted once over all workers; whoever misses Redis counts by itself meanwhile."""

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from server.error_kinds import ErrorKinds
from server.redis_client import quick_redis
from tests.support.chain_server import refusal
from tests.support.drafts import FEATURE, create_customer
from tests.support.error_kinds import CONTROL, TREATMENT, UNTREATED, Failing, meet
from tests.support.service import Service
from tests.support.waiting import until
from tests.support.workers import Stores, worker

DAY = 24 * 60 * 60


@pytest_asyncio.fixture(loop_scope="session")
async def redis(stores: Stores) -> AsyncIterator[Redis]:
    """The Redis of some workers, with nothing of before."""
    async with quick_redis(stores.redis_url, patience=0.1) as redis:
        await redis.flushall()
        yield redis


def worker_of(redis: Redis, clock: float = 0.0) -> ErrorKinds:
    """Return what a worker counts with, whose clock is so many seconds ahead."""
    return ErrorKinds(redis, [FEATURE], clock=lambda: time.time() + clock)


async def test_workers_count_together(redis: Redis) -> None:
    """A merchant that met a kind on two workers counts once, and every worker shows all kinds."""
    one, other = worker_of(redis), worker_of(redis)
    both = uuid4()
    for kinds in (one, other):
        meet(kinds, Failing(), merchant=both)
        meet(kinds, Failing())
    meet(one, KeyError("x"), UNTREATED)
    for kinds in (one, other, one):
        await kinds.exchange()

    assert one.merchants() == other.merchants()
    assert one.merchants()["Failing", *TREATMENT] == 3
    assert other.merchants()["KeyError", *CONTROL] == 1
    assert (one.errors()["KeyError", *CONTROL], other.errors()["KeyError", *CONTROL]) == (1, 0)


async def test_a_new_worker_knows_what_was_before(redis: Redis) -> None:
    """After all workers were replaced, a known kind is shown as it was, so it is not new."""
    before = worker_of(redis)
    meet(before, Failing())
    meet(before, Failing())
    await before.exchange()
    after = worker_of(redis)
    await after.exchange()

    assert after.merchants()["Failing", *TREATMENT] == 2


async def test_what_is_kept(redis: Redis) -> None:
    """Keys share a hash tag and lapse after thirty days; no id of a merchant is in them."""
    kinds, merchant = worker_of(redis), uuid4()
    meet(kinds, Failing("secret"), merchant=merchant)
    await kinds.exchange()
    keys: list[Any] = await redis.keys("*")

    assert len(keys) == 2
    for key in keys:
        assert key.startswith(b"{unexpected-errors}:customer-analytics:treatment:")
        assert 30 * DAY - 60 < await redis.ttl(key) <= 30 * DAY
        held: Any = await redis.dump(key)
        for secret in (merchant.bytes, str(merchant).encode(), merchant.hex.encode(), b"secret"):
            assert secret not in held


async def test_old_kinds_are_forgotten(redis: Redis) -> None:
    """A kind that was not seen for thirty days is gone; one that is seen again stays."""
    now = worker_of(redis)
    meet(now, Failing())
    meet(now, KeyError("x"))
    await now.exchange()
    later = worker_of(redis, clock=20 * DAY)
    meet(later, Failing())
    await later.exchange()
    latest = worker_of(redis, clock=31 * DAY)
    await latest.exchange()

    assert latest.merchants()["Failing", *TREATMENT] == 2
    assert ("KeyError", *TREATMENT) not in latest.merchants()


async def test_flushed(redis: Redis) -> None:
    """What Redis has lost it is told once more by those who have met it."""
    kinds = worker_of(redis)
    meet(kinds, Failing())
    meet(kinds, Failing())
    await kinds.exchange()
    await redis.flushall()
    await kinds.exchange()
    assert kinds.merchants()["Failing", *TREATMENT] == 2
    await kinds.exchange()

    after = worker_of(redis)
    await after.exchange()
    assert after.merchants()["Failing", *TREATMENT] == 2


async def reached(service: Service, kind: str) -> float:
    """Return how many merchants a server says that a kind has reached in the treatment."""
    shown = await service.ask_admin("/metrics")
    labels = {"kind": kind, "feature": FEATURE, "arm": "treatment"}
    return sum(
        sample.value
        for family in text_string_to_metric_families(shown)
        if family.name == "patron_unexpected_error_merchants"
        for sample in family.samples
        if sample.labels == labels
    )


async def test_killed(stores: Stores) -> None:
    """Without Redis calls fail as fast as ever and count here; with it again they count for all."""
    async with (
        worker(stores) as one,
        worker(stores) as other,
        one.client() as first,
        one.client() as second,
        other.client() as third,
        one.database(one.urls.owner) as owner,
    ):
        kind = "CheckViolationError"
        before = await reached(one, kind)
        await owner.execute("ALTER TABLE customer ADD CONSTRAINT broken CHECK (name <> 'Zara')")
        try:
            async with stores.valkey_killed():
                for client in (first, second, first, third):
                    begun = time.monotonic()
                    call = client.customers.CreateCustomer(create_customer(name="Zara"))
                    assert (await refusal(call)).code == grpc.StatusCode.INTERNAL
                    assert time.monotonic() - begun < 2
                assert await reached(one, kind) >= 2
                assert await reached(other, kind) >= 1
        finally:
            await owner.execute("ALTER TABLE customer DROP CONSTRAINT broken")

        async def all_know() -> bool:
            return await reached(one, kind) == await reached(other, kind) == before + 3

        await until(all_know)
