"""A write whose worker dies, or whose client leaves, right after COMMIT."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import grpc
import pytest

from domain.errors import NoConnectionError, UnavailableError
from domain.model.caller import Caller
from domain.model.merchant import Revision
from domain.ports import WriteTransaction
from server.cache.writer import CacheInvalidatingWriter
from server.storage.database import Database
from server.storage.writer import PostgresWriter
from server.tasks import Background
from tests.support.caches import EPOCH, cache
from tests.support.proxy import Proxy, proxied
from tests.support.reports import report, sale, sell, warm
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


async def test_a_worker_killed_between_commit_and_invalidation(stores: Stores) -> None:
    """The client's retry on another worker gets the bill, and nothing stale is served after it."""
    async with (
        proxied(stores.redis_url) as proxy,
        worker(stores, cache_local_seconds=300) as other,
        other.client() as reader,
        other.database() as database,
    ):
        killed = worker_process(stores, other, redis_url=proxy.url, redis_timeout_seconds=WAITS)
        async with killed as (writing, running), writing.client(reader.merchant_id) as writer:
            await sell(writer)
            assert await warm(reader) == 1
            hold_announcements(proxy, reader.merchant_id)
            request = sale()
            call = asyncio.ensure_future(writer.bills.CreateBill(request))
            await proxy.requests.held.wait()
            assert await revision_of(database, reader) == 2
            running.kill()
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
        # The worker has time to learn that nobody waits; then what it has sent so far is lost.
        await asyncio.sleep(0.2)
        await proxy.break_connections()
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


async def test_a_commit_whose_reply_is_lost(stores: Stores) -> None:
    """The client is told UNAVAILABLE; the other worker is told of the bill all the same."""
    async with (
        stores.proxied_database() as (proxy, database_url),
        worker(stores, database_url=database_url) as writing,
        worker(stores, cache_local_seconds=300) as other,
        writing.client() as writer,
        other.client(writer.merchant_id) as reader,
    ):
        await sell(writer)
        assert await warm(reader) == 1
        proxy.replies.hold(b"COMMIT")
        call = asyncio.ensure_future(writer.bills.CreateBill(sale()))
        await proxy.replies.held.wait()
        await proxy.break_connections()
        proxy.replies.release()
        with pytest.raises(grpc.aio.AioRpcError) as lost:
            await call
        assert lost.value.code() == grpc.StatusCode.UNAVAILABLE

        async def is_fresh() -> bool:
            return (await report(reader)).bills == 2

        await until(is_fresh)


@pytest.mark.parametrize("lacks", ["a free connection", "a database"])
async def test_nothing_is_unknown_of_a_write_without_a_connection(
    stores: Stores, lacks: str
) -> None:
    """What never had a connection has written nothing: no revision is read again."""
    caller = Caller(uuid4(), "somebody")
    async with (
        stores.proxied_database() as (proxy, database_url),
        Database.connect(
            database_url, pool_size=1, lock_timeout=1, acquire_timeout=0.3
        ) as database,
        cache(stores.redis_url) as running,
        Background() as background,
        AsyncExitStack() as stack,
    ):
        writer = PostgresWriter(database, lambda: datetime.now(UTC))
        writing = CacheInvalidatingWriter(writer, running.invalidations, background)
        if lacks == "a free connection":
            await stack.enter_async_context(database.transaction(caller))
        else:
            await proxy.cut()
            with pytest.raises(UnavailableError):
                await database.revision(caller.merchant_id)
        with pytest.raises(NoConnectionError):
            await writing.write(caller, None, object, unreachable)
        assert not running.invalidations.pending


async def unreachable(_transaction: WriteTransaction) -> object:
    """Do the work of a write that never begins."""
    raise AssertionError


async def test_an_outcome_that_is_not_decided_yet_is_waited_for(stores: Stores) -> None:
    """The revision that is read after a lost connection contains what is being committed."""
    async with (
        worker(stores) as service,
        service.client() as client,
        service.database(stores.urls.owner.replace("patron_owner", "postgres")) as connection,
        Database.connect(stores.urls.serving, pool_size=2, lock_timeout=10) as database,
    ):
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "UPDATE merchant SET revision = revision + 1 WHERE merchant_id = $1", client.merchant_id
        )
        reading = asyncio.create_task(database.revision(client.merchant_id))
        await asyncio.wait([reading], timeout=0.2)
        await transaction.commit()
        revision = await reading
        assert revision is not None
        assert revision.number == await revision_of(connection, client)


async def test_an_outcome_that_gets_unknown_while_another_is_looked_up(stores: Stores) -> None:
    """What is committed after the revision was read is read again, and not forgotten."""
    merchant_id = uuid4()
    committed, reading, read = 1, asyncio.Event(), asyncio.Event()

    async def read_revision(_: UUID) -> Revision:
        revision = Revision(EPOCH, committed)
        reading.set()
        await read.wait()
        return revision

    async with cache(stores.redis_url, read_revision=read_revision) as running:
        running.invalidations.outcome_unknown(merchant_id)
        await reading.wait()
        committed = 2
        running.invalidations.outcome_unknown(merchant_id)
        read.set()

        async def is_told() -> bool:
            return (await running.shared.fetch(merchant_id, EPOCH, b"")).revision == 2

        await until(is_told)


async def test_a_look_up_that_fails_keeps_no_other_from_being_told(stores: Stores) -> None:
    """Whatever reading one merchant's revision raises, it is tried again, and others are told."""
    broken, well = uuid4(), uuid4()
    failures = 0

    async def read_revision(merchant_id: UUID) -> Revision:
        nonlocal failures
        if merchant_id == broken and failures < 2:
            failures += 1
            raise ValueError("nobody expected this")
        return Revision(EPOCH, 7)

    async with cache(stores.redis_url, read_revision=read_revision) as running:
        for merchant_id in (broken, well):
            running.invalidations.outcome_unknown(merchant_id)

        async def are_told() -> bool:
            found = [await running.shared.fetch(each, EPOCH, b"") for each in (broken, well)]
            return [each.revision for each in found] == [7, 7]

        await until(are_told)
        assert not running.invalidations.pending


async def test_a_database_that_hangs_does_not_keep_the_worker_from_ending(stores: Stores) -> None:
    """At the end what is not announced is tried for a moment; what can be announced is."""
    hanging, well = uuid4(), uuid4()

    async def read_revision(_: UUID) -> Revision:
        await asyncio.sleep(3600)
        raise AssertionError

    async with (
        asyncio.timeout(10),
        proxied(stores.redis_url) as proxy,
        cache(proxy.url, patience=0.1, read_revision=read_revision) as ending,
    ):
        await proxy.cut()
        ending.invalidations.outcome_unknown(hanging)
        await ending.invalidations.committed(well, Revision(EPOCH, 2))
        await proxy.open()
    async with cache(stores.redis_url) as other:
        assert (await other.shared.fetch(well, EPOCH, b"")).revision == 2
