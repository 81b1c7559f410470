"""Redis killed, stopped, flushed and cut off: the service goes on from PostgreSQL."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from domain.model.merchant import Revision
from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest
from server.storage.rollups import PostgresRollups
from server.storage.verify import verify
from tests.support.caches import EPOCH, cache, constant, is_hit
from tests.support.chain_server import eventually
from tests.support.drafts import period
from tests.support.proxy import proxied
from tests.support.reports import MARCH, report, sell, warm
from tests.support.service import Client, Service
from tests.support.waiting import until
from tests.support.workers import Stores, worker


class Load:
    """Merchants that sell and read their reports without a pause."""

    def __init__(self) -> None:
        self.reports = 0
        self.sales = 0
        self.hits = 0

    async def run(self, client: Client) -> None:
        sold = 0
        while True:
            revision = await sell(client)
            sold += 1
            self.sales += 1
            for seen in (revision, ""):
                found = await report(client, seen=seen)
                assert found.bills >= (sold if seen else 0)
                self.reports += 1
                self.hits += found.cache == "hit"

    async def assert_sound(self, service: Service, clients: Sequence[Client]) -> None:
        """Assert that what was sold is there, and that reports and totals agree with it."""
        merchants = [client.merchant_id for client in clients]
        async with service.database() as database:
            rows = await database.fetch(
                "SELECT merchant_id, count(*) FROM bill "
                "WHERE merchant_id = ANY($1) GROUP BY merchant_id",
                merchants,
            )
        bills = {row["merchant_id"]: row["count"] for row in rows}
        assert sum(bills.values()) >= self.sales
        for client in clients:
            assert (await report(client)).bills == bills[client.merchant_id]
        async for each in verify(service.urls.maintenance):
            assert not (each.merchant_id in merchants and each.differences)

    async def goes_on(self) -> None:
        """Wait until some more was done."""
        reports, sales = self.reports + 20, self.sales + 10
        await eventually(lambda: self.reports >= reports and self.sales >= sales, timeout=20)

    async def hits_again(self) -> None:
        """Wait until answers come from the cache."""
        hits = self.hits + 5
        await eventually(lambda: self.hits >= hits, timeout=20)


@asynccontextmanager
async def under_load(*clients: Client) -> AsyncIterator[Load]:
    """Have the clients sell and read while the body runs; none of their calls may fail."""
    load = Load()
    running = [asyncio.create_task(load.run(client)) for client in clients]
    try:
        yield load
        for each in running:
            assert not each.done(), each.exception()
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_killed_under_load(stores: Stores) -> None:
    """Reports come from PostgreSQL without an error, and from the cache again afterwards."""
    async with (
        worker(stores) as service,
        service.client() as one,
        service.client() as other,
    ):
        async with under_load(one, other) as load:
            await load.hits_again()
            async with stores.valkey_killed():
                await load.goes_on()
            await load.hits_again()
        await load.assert_sound(service, (one, other))


async def test_stopped_under_load(stores: Stores) -> None:
    """The same with a Redis that takes commands and answers none."""
    async with (
        worker(stores) as service,
        service.client() as one,
        service.client() as other,
    ):
        async with under_load(one, other) as load:
            await load.hits_again()
            with stores.valkey_stopped():
                await load.goes_on()
            await load.hits_again()
        await load.assert_sound(service, (one, other))


async def test_stopped_costs_its_time_out_until_it_is_left_alone(stores: Stores) -> None:
    """Three calls wait for a Redis that does not answer, then hardly any; it is found again."""
    patience, lookups = 0.3, 40
    async with cache(stores.redis_url, patience=patience, local_lifetime=0) as running:
        asked = constant(uuid4(), b"", b"answer")
        await running.responses.get(asked, None)
        with stores.valkey_stopped():
            begun = time.monotonic()
            for _ in range(lookups):
                served = await running.responses.get(asked, None)
                assert served.body == b"answer"
            elapsed = time.monotonic() - begun
        assert running.shared.breaker.is_open
        # Each second another one tries. Fills fail as look-ups do, but nobody waits for them.
        assert running.shared.errors <= 3 + 2 * (elapsed + 1)
        assert elapsed < lookups * patience / 2

        async def is_served() -> bool:
            return is_hit((await running.responses.get(asked, None)).trailers)

        await until(is_served)
        assert not running.shared.breaker.is_open


async def test_slow_is_as_good_as_stopped(stores: Stores) -> None:
    """A Redis whose every reply comes too late is left alone too, and no connection is lost."""
    async with (
        proxied(stores.redis_url) as proxy,
        cache(proxy.url, patience=0.1, local_lifetime=0) as running,
    ):
        asked = [constant(uuid4(), b"", b"%d" % number) for number in range(50)]
        await asyncio.gather(*(running.responses.get(each, None) for each in asked))
        proxy.replies.delay = 1.0
        begun = time.monotonic()
        for _ in range(2):
            served = await asyncio.gather(*(running.responses.get(each, None) for each in asked))
            assert [each.body for each in served] == [b"%d" % number for number in range(50)]
        # No command waits on that was to be given up: one that did would wait for seconds.
        assert time.monotonic() - begun < 3
        assert running.shared.breaker.is_open
        proxy.replies.delay = 0
        await eventually(lambda: not running.responses._flights)

        async def all_are_hits() -> bool:
            served = [await running.responses.get(each, None) for each in asked]
            return all(is_hit(each.trailers) for each in served)

        await until(all_are_hits)
        pool: Any = running.shared._redis.connection_pool
        assert not pool._in_use_connections


async def test_flushed_under_load(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker computes each report once more, however many ask for it at once."""
    computations: Counter[tuple[int, str]] = Counter()
    figures = PostgresRollups.figures

    async def counting(self: PostgresRollups, caller: Any, periods: Any, **options: Any) -> Any:
        computations[id(self), str(periods[0])] += 1
        # All callers are there before it ends.
        await asyncio.sleep(0.05)
        return await figures(self, caller, periods, **options)

    monkeypatch.setattr(PostgresRollups, "figures", counting)
    months = [
        GetSummaryRequest(period=period(f"2025-0{month}-01", f"2025-0{month}-28"))
        for month in range(1, 7)
    ]
    # On a busy machine Redis must not count as gone.
    options: dict[str, Any] = {"cache_local_seconds": 0.5, "redis_timeout_seconds": 5}
    async with (
        worker(stores, **options) as one,
        worker(stores, **options) as other,
        one.client() as client,
        other.client(client.merchant_id) as same,
        Redis.from_url(stores.redis_url) as redis,
    ):

        async def ask_all() -> None:
            calls = [
                report(each, asked)
                for _ in range(10)
                for each in (client, same)
                for asked in months
            ]
            await asyncio.gather(*calls)

        await sell(client)
        await ask_all()
        # What is in memory ends first, so that all ask Redis.
        await asyncio.sleep(0.6)
        await ask_all()
        computations.clear()
        await redis.flushall()
        await asyncio.sleep(0.6)
        await ask_all()
        assert len(computations) == 2 * len(months)
        assert set(computations.values()) == {1}
        await asyncio.sleep(0.6)
        await ask_all()
        assert set(computations.values()) == {1}


async def test_cut_off_during_a_write(stores: Stores) -> None:
    """The bill is created; the other worker hears of it when Redis answers the writer again."""
    async with (
        proxied(stores.redis_url) as proxy,
        worker(stores, redis_url=proxy.url) as cut_off,
        worker(stores, cache_local_seconds=300) as other,
        cut_off.client() as writer,
        other.client(writer.merchant_id) as reader,
    ):
        before = await sell(writer)
        assert await warm(reader) == 1
        await proxy.cut()
        revision = await sell(writer)
        # Whoever has seen the write is told of it even now.
        assert (await report(reader, seen=revision)).bills == 2
        stale = await report(reader)
        assert stale.revision in (before, revision)

        await proxy.open()

        async def is_fresh() -> bool:
            return (await report(reader)).bills == 2

        await until(is_fresh)
        assert (await report(writer, MARCH)).bills == 2


async def test_what_was_not_announced_is_announced_later(stores: Stores) -> None:
    """While Redis is away the highest revision of each merchant waits, and nobody waits for it."""
    merchants = [uuid4() for _ in range(5)]
    async with (
        proxied(stores.redis_url) as proxy,
        cache(proxy.url, patience=0.1) as writer,
        cache(stores.redis_url) as other,
    ):
        for merchant_id in merchants:
            await other.responses.get(constant(merchant_id, b"", b"old"), None)
        await proxy.cut()
        for number in range(2, 5):
            for merchant_id in merchants:
                await writer.invalidations.committed(merchant_id, Revision(EPOCH, number))
        assert writer.invalidations.pending == len(merchants)
        await proxy.open()
        await eventually(lambda: not writer.invalidations.pending, timeout=10)
        for merchant_id in merchants:
            found = await other.shared.fetch(merchant_id, EPOCH, b"nothing")
            assert found.revision == 4
            new = constant(merchant_id, b"", b"new", 4)
            served = await other.responses.get(new, None)
            assert served.body == b"new"
