"""A reply of Redis that nobody waits for any more reaches nobody."""

import asyncio
import time
from uuid import UUID, uuid4

import pytest
from redis.asyncio import BlockingConnectionPool, Redis

from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest
from server.cache.breaker import CircuitBreaker
from server.cache.redis_cache import RedisCache
from server.cache.shared import SharedCacheUnavailable, Stored
from tests.support.bills import bill_of, creation, instant
from tests.support.caches import EPOCH
from tests.support.drafts import period
from tests.support.proxy import Proxy, proxied
from tests.support.reports import report
from tests.support.service import Client
from tests.support.tenants import NOON
from tests.support.workers import Stores, worker

ANSWERS = 100


def body(number: int) -> bytes:
    """Return an answer that no other number has, of another length than its neighbours."""
    return b"%d " % number * (1 + number % 7)


def name(number: int) -> bytes:
    """Return the name of that answer."""
    return b"answer-%d" % number


async def fill(shared: RedisCache, merchant_id: UUID) -> None:
    """Store all answers."""
    for number in range(ANSWERS):
        stored = Stored(body(number), 1, time.time() + 60, 0.0)
        await shared.fill(merchant_id, EPOCH, name(number), stored)


async def assert_all_are_told_their_own(shared: RedisCache, merchant_id: UUID) -> None:
    """Fetch everything at once, several times over."""

    async def fetch(number: int) -> None:
        found = await shared.fetch(merchant_id, EPOCH, name(number))
        assert found.stored is not None
        assert found.stored.body == body(number)

    for _ in range(3):
        await asyncio.gather(*map(fetch, range(ANSWERS)))


@pytest.mark.parametrize("passing", [0, 1, 5, 20, 40])
@pytest.mark.parametrize("cancelled", [False, True], ids=["timed out", "cancelled"])
async def test_a_reply_that_comes_too_late(stores: Stores, cancelled: bool, passing: int) -> None:
    """A fetch given up before, or in the middle of, its reply leaves nothing to the next ones."""
    merchant_id = uuid4()
    async with proxied(stores.redis_url) as proxy:
        # Few connections, so that one that was given up would be used again at once.
        pool = BlockingConnectionPool.from_url(proxy.url, max_connections=2, timeout=5)
        async with Redis.from_pool(pool) as redis:
            breaker = CircuitBreaker(failures=1000, wait=0)
            patient = RedisCache(redis, timeout=5, breaker=breaker)
            hasty = RedisCache(redis, timeout=5 if cancelled else 0.05, breaker=breaker)
            await fill(patient, merchant_id)
            for _ in range(3):
                proxy.replies.hold(passing=passing)
                fetching = asyncio.create_task(hasty.fetch(merchant_id, EPOCH, name(0)))
                await proxy.replies.held.wait()
                if cancelled:
                    fetching.cancel()
                with pytest.raises(asyncio.CancelledError if cancelled else SharedCacheUnavailable):
                    await fetching
                proxy.replies.release()
                await assert_all_are_told_their_own(patient, merchant_id)
            assert not pool._in_use_connections


async def test_a_call_cancelled_in_the_middle_of_a_reply(stores: Stores) -> None:
    """Hundreds of calls after it, of several merchants, get their own answers."""
    async with (
        proxied(stores.redis_url) as proxy,
        # Every call asks Redis, and waits for it.
        worker(
            stores, redis_url=proxy.url, cache_local_seconds=0, redis_timeout_seconds=5
        ) as service,
        service.client() as one,
        service.client() as other,
    ):
        days = [f"2025-03-{day:02}" for day in range(1, 26)]
        await asyncio.gather(
            *(
                sell_something_else_each_day(client, days, factor)
                for client, factor in ((one, 100), (other, 10_000))
            )
        )
        await assert_own_figures(one, other, days)
        for passing in (0, 7, 60):
            await cancel_a_call(proxy, one, days[0], passing)
            proxy.replies.release()
            for _ in range(2):
                assert await assert_own_figures(one, other, days) > 0


async def sell_something_else_each_day(client: Client, days: list[str], factor: int) -> None:
    """Sell for one factor on the first day, two on the second and so on."""
    for number, day in enumerate(days, 1):
        noon = instant(NOON.ToDatetime().replace(day=int(day[-2:])))
        amount = factor * number
        bill = bill_of(amount, paid_minor=amount, id=str(uuid4()), bill_time=noon)
        await client.bills.CreateBill(creation(bill))


async def cancel_a_call(proxy: Proxy, client: Client, day: str, passing: int) -> None:
    """Ask for a report and leave when so many bytes of what Redis says have come."""
    proxy.replies.hold(b"$", passing=passing)
    call = client.analytics.GetSummary(GetSummaryRequest(period=period(day, day)))
    waiting = asyncio.ensure_future(call)
    await proxy.replies.held.wait()
    call.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()


async def assert_own_figures(one: Client, other: Client, days: list[str]) -> int:
    """Ask for every day of both merchants at once; return how many answers were kept ones."""

    async def ask(client: Client, factor: int, number: int, day: str) -> bool:
        found = await report(client, GetSummaryRequest(period=period(day, day)))
        assert (found.bills, found.sales_minor) == (1, factor * number)
        return found.cache == "hit"

    hits = await asyncio.gather(
        *(
            ask(client, factor, number, day)
            for number, day in enumerate(days, 1)
            for client, factor in ((one, 100), (other, 10_000))
        )
    )
    return sum(hits)
