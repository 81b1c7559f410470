"""A worker that may miss writes keeps nothing in its own memory."""

import asyncio
from uuid import uuid4

from structlog.testing import capture_logs

from domain.model.merchant import Revision
from tests.support.caches import EPOCH, cache, constant, is_hit
from tests.support.chain_server import eventually
from tests.support.proxy import proxied
from tests.support.workers import Stores


async def test_memory_is_off_as_soon_as_the_channel_is_lost(stores: Stores) -> None:
    """With Redis gone nothing is kept in memory, and nothing kept before is found."""
    async with proxied(stores.redis_url) as proxy, cache(proxy.url) as running:
        local, asked = running.responses.local, constant(uuid4(), b"", b"answer")
        for _ in range(3):
            await running.responses.get(asked, None)
        assert running.responses.find(asked.key, None)

        await proxy.cut()
        await eventually(lambda: not local.is_open, timeout=1)
        assert running.responses.find(asked.key, None) is None
        served = await running.responses.get(asked, None)
        assert not is_hit(served.trailers)
        assert running.responses.find(asked.key, None) is None

        await proxy.open()
        await eventually(lambda: local.is_open, timeout=5)


async def test_memory_is_off_while_a_new_channel_hangs(stores: Stores) -> None:
    """A connection that is lost, and whose successor gets no reply, counts as lost."""
    async with proxied(stores.redis_url) as proxy, cache(proxy.url) as running:
        local = running.responses.local
        assert local.is_open
        proxy.replies.hold()
        await proxy.break_connections()
        await eventually(lambda: not local.is_open, timeout=4)
        proxy.replies.release()
        await eventually(lambda: local.is_open, timeout=5)


async def test_what_is_missed_is_forgotten(stores: Stores) -> None:
    """A write that was announced while the channel was down is not missed afterwards."""
    merchant_id = uuid4()
    old = constant(merchant_id, b"", b"old", 1)
    async with (
        proxied(stores.redis_url) as proxy,
        cache(proxy.url) as deaf,
        cache(stores.redis_url) as other,
    ):
        for _ in range(2):
            await deaf.responses.get(old, None)
        assert deaf.responses.find(old.key, None)
        await proxy.cut()
        await other.invalidations.committed(merchant_id, Revision(EPOCH, 2))
        await proxy.open()
        await eventually(lambda: deaf.responses.local.is_open, timeout=5)
        new = constant(merchant_id, b"", b"new", 2)
        assert deaf.responses.find(old.key, None) is None
        assert (await deaf.responses.get(new, None)).body == b"new"


async def test_a_silent_channel_counts_as_lost(stores: Stores) -> None:
    """A Redis that stops without closing a connection is noticed; and it may come back."""
    async with cache(stores.redis_url) as running:
        local = running.responses.local
        with stores.valkey_stopped():
            await eventually(lambda: not local.is_open, timeout=10)
        await eventually(lambda: local.is_open, timeout=10)


async def test_starts_while_redis_is_stopped(stores: Stores) -> None:
    """A Redis that takes connections and answers nothing keeps no worker from starting."""
    asked = constant(uuid4(), b"", b"answer")
    with stores.valkey_stopped():
        async with asyncio.timeout(10), cache(stores.redis_url, patience=0.1) as running:
            assert (await running.responses.get(asked, None)).body == b"answer"


async def test_a_long_outage_is_two_lines(stores: Stores) -> None:
    """The log tells when the channel is lost and when it is back, not of the tries in between."""
    with capture_logs() as logs:
        async with proxied(stores.redis_url) as proxy, cache(proxy.url) as running:
            local = running.responses.local
            await proxy.cut()
            await eventually(lambda: not local.is_open, timeout=5)
            await asyncio.sleep(1)  # Five tries.
            await proxy.open()
            await eventually(lambda: local.is_open, timeout=5)
    told = [line["event"] for line in logs if "channel" in line["event"]]
    assert told == ["the channel of revisions is down", "the channel of revisions is up"]
