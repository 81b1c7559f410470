"""A write whose worker dies, or whose client leaves, right after COMMIT."""

import asyncio
from uuid import UUID

import asyncpg
import grpc
import pytest

from tests.support.proxy import Proxy, proxied
from tests.support.reports import report, sale, sell
from tests.support.service import Client, Service
from tests.support.tables import content_of
from tests.support.waiting import until
from tests.support.workers import Stores, worker, worker_process

WAITS = 30
"""How many seconds the writing worker waits for Redis, so that it never gives up first."""


def hold_announcements(proxy: Proxy, merchant_id: UUID) -> None:
    """Hold back what the next write announces, and nothing else of a worker's."""
    # Reports begin with the revision too, but they are asked for elsewhere.
    proxy.requests.hold(b"{%b}:" % str(merchant_id).encode())


async def revision_of(database: "asyncpg.Connection[asyncpg.Record]", client: Client) -> int:
    """Return the number that the database has."""
    revision: int = await database.fetchval(
        "SELECT revision FROM merchant WHERE merchant_id = $1", client.merchant_id
    )
    return revision


async def warm(client: Client) -> int:
    """Have the report kept; return how many bills it says."""
    await report(client)
    kept = await report(client)
    assert kept.cache == "hit"
    return kept.bills


async def test_a_worker_killed_between_commit_and_invalidation(stores: Stores) -> None:
    """The client's retry on another worker gets the bill, and nothing stale is served after it."""
    async with (
        proxied(stores.redis_url) as proxy,
        worker(stores, cache_local_seconds=300) as other,
        other.client() as reader,
        other.database() as database,
    ):
        with worker_process(stores, other, redis_url=proxy.url, redis_timeout_seconds=WAITS) as (
            killed,
            running,
        ):
            async with killed.client(reader.merchant_id) as writer:
                await sell(writer)
                assert await warm(reader) == 1
                hold_announcements(proxy, reader.merchant_id)
                request = sale()
                call = asyncio.ensure_future(writer.bills.CreateBill(request))
                await proxy.requests.held.wait()
                assert await revision_of(database, reader) == 2
                running.process.kill()
                with pytest.raises(grpc.aio.AioRpcError) as lost:
                    await call
        assert lost.value.code() == grpc.StatusCode.UNAVAILABLE
        await proxy.cut()

        # Nobody was told, which is why answers live for minutes only.
        assert (await report(reader)).bills == 1
        retried = await reader.bills.CreateBill(request)
        assert retried.bill.id == request.bill.id
        fresh = await report(reader)
        assert (fresh.bills, fresh.number) == (2, 2)
        # A third worker's memory and Redis have nothing stale either.
        async with worker(stores) as third, third.client(reader.merchant_id) as same:
            assert (await report(same)).bills == 2


@pytest.mark.parametrize("leaves", ["cancels", "hangs up"])
async def test_a_client_that_leaves_right_after_commit(stores: Stores, leaves: str) -> None:
    """The other worker is told of the write all the same."""
    async with (
        proxied(stores.redis_url) as proxy,
        worker(stores, redis_url=proxy.url, redis_timeout_seconds=WAITS) as writing,
        worker(stores, cache_local_seconds=300) as other,
        other.client() as reader,
        other.database() as database,
    ):
        await sell(reader)
        assert await warm(reader) == 1
        await leave_after_commit(proxy, writing, reader.merchant_id, leaves)
        assert await revision_of(database, reader) == 2
        await asyncio.sleep(0.05)
        proxy.requests.release()

        async def is_fresh() -> bool:
            return (await report(reader)).bills == 2

        await until(is_fresh)
        content = await content_of(database, reader.merchant_id)
        assert content["bill"][0] == 2


async def leave_after_commit(
    proxy: Proxy, writing: Service, merchant_id: UUID, leaves: str
) -> None:
    """Create a bill and leave before the worker has announced it."""
    async with writing.client(merchant_id) as writer:
        hold_announcements(proxy, merchant_id)
        call = writer.bills.CreateBill(sale())
        waiting = asyncio.ensure_future(call)
        await proxy.requests.held.wait()
        if leaves == "cancels":
            call.cancel()
    # A closed channel has ended the call in any case.
    await asyncio.gather(waiting, return_exceptions=True)
