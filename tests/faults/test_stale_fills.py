"""A reader that pauses between reading and filling fills nothing with what is old by then."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from server.cache.channel import CHANNEL
from server.storage.rollups import PostgresRollups
from tests.support.proxy import proxied
from tests.support.reports import report, sell, warm
from tests.support.workers import Stores, worker


class Pause:
    """Pauses whoever has read figures, until it is released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = asyncio.Event()
        self.over = asyncio.Event()
        read = PostgresRollups.figures

        async def figures(rollups: PostgresRollups, *given: Any, **options: Any) -> Any:
            found = await read(rollups, *given, **options)
            if not self.reached.is_set():
                self.reached.set()
                await self.over.wait()
            return found

        monkeypatch.setattr(PostgresRollups, "figures", figures)


@pytest.mark.parametrize("deaf", [False, True], ids=["hears", "deaf"])
async def test_a_fill_that_was_overtaken_is_refused(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    """Neither tier keeps it, even when the reader did not hear of the write in time."""
    async with (
        proxied(stores.redis_url) as proxy,
        worker(stores, redis_url=proxy.url, cache_local_seconds=300) as reading,
        worker(stores, cache_local_seconds=300) as writing,
        reading.client() as reader,
        writing.client(reader.merchant_id) as writer,
        Redis.from_url(stores.redis_url) as redis,
    ):
        # The worker knows the epoch, so that nothing but the write speaks against keeping.
        await sell(reader)
        pause = Pause(monkeypatch)
        overtaken = asyncio.create_task(report(reader))
        await pause.reached.wait()
        if deaf:
            proxy.replies.hold(CHANNEL.encode())
        revision = await sell(writer)
        if deaf:
            await proxy.replies.held.wait()
        pause.over.set()
        assert (await overtaken).bills == 1

        answers = f"{{{reader.merchant_id}}}:answer:*"
        assert [key async for key in redis.scan_iter(answers)] == []
        for client in (writer, reader):
            fresh = await report(client)
            assert (fresh.bills, fresh.revision) == (2, revision)
        proxy.replies.release()


async def test_one_bill_evicts_only_its_own_merchants_answers(stores: Stores) -> None:
    """What another merchant has in either tier stays."""
    async with (
        worker(stores) as one,
        worker(stores) as other,
        one.client() as writer,
        one.client() as bystander,
        other.client(bystander.merchant_id) as elsewhere,
    ):
        await sell(bystander)
        for client in (bystander, elsewhere):
            await warm(client)
        await sell(writer)
        for client in (bystander, elsewhere):
            assert (await report(client)).cache == "hit"
