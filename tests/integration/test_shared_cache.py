"""The contract of the shared cache, whatever keeps it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from domain.model.merchant import Revision
from server.cache.breaker import CircuitBreaker
from server.cache.channel import Announcement, Listener, subscribed
from server.cache.redis_cache import RedisCache
from server.cache.shared import Found, SharedCache, Stored
from server.embedded import EmbeddedValkey
from tests.support.chain_server import eventually
from tests.support.shared_cache import SimulatedSharedCache

EPOCH = "epoch"
NAME = b"name"

Make = Callable[[str, AsyncExitStack], Any]


async def redis_cache(url: str, stack: AsyncExitStack) -> RedisCache:
    """Return a cache in Valkey."""
    redis = await stack.enter_async_context(Redis.from_url(url))
    breaker = CircuitBreaker(failures=3, wait=1)
    return RedisCache(redis, timeout=10, breaker=breaker)


async def simulated_cache(_url: str, _stack: AsyncExitStack) -> SimulatedSharedCache:
    """Return the cache that stands for Redis where every order of events is tried."""
    return SimulatedSharedCache(time.time, lambda _: None)


IMPLEMENTATIONS: list[Make] = [redis_cache, simulated_cache]


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The URL of a Valkey for these tests."""
    with EmbeddedValkey(Path(tmp_path_factory.mktemp("shared"))) as url:
        yield url


@pytest_asyncio.fixture(
    loop_scope="session", scope="module", params=IMPLEMENTATIONS, ids=lambda make: make.__name__
)
async def shared(request: pytest.FixtureRequest, valkey: str) -> AsyncIterator[SharedCache]:
    """An implementation of the port."""
    async with AsyncExitStack() as stack:
        yield await request.param(valkey, stack)


def stored(revision: int, body: bytes = b"body", lifetime: float = 60.0) -> Stored:
    """Return an answer to be stored."""
    return Stored(body, revision, time.time() + lifetime, 0.25)


async def announce(shared: SharedCache, merchant_id: UUID, number: int, epoch: str = EPOCH) -> None:
    """Announce a revision."""
    await shared.announce(merchant_id, Revision(epoch, number), time.time())


async def test_nothing_is_known_at_first(shared: SharedCache) -> None:
    """Of a merchant of whom nothing was told there is neither a revision nor an answer."""
    assert await shared.fetch(uuid4(), EPOCH, NAME) == Found(None, None)


@pytest.mark.parametrize("body", [b"", b"\x00\r\n$-1\xff", b"x" * 1_000_000])
async def test_an_answer_comes_back_as_it_was_stored(shared: SharedCache, body: bytes) -> None:
    """All of it, whatever its bytes are, with the revision that the fill made known."""
    merchant_id, answer = uuid4(), stored(3, body)
    assert await shared.fill(merchant_id, EPOCH, NAME, answer) == 3
    assert await shared.fetch(merchant_id, EPOCH, NAME) == Found(3, answer)


async def test_an_older_answer_is_refused(shared: SharedCache) -> None:
    """The refusal names the revision that is known, and what was stored stays."""
    merchant_id, kept = uuid4(), stored(5, b"kept")
    await shared.fill(merchant_id, EPOCH, NAME, kept)
    assert await shared.fill(merchant_id, EPOCH, NAME, stored(4)) == 5
    assert await shared.fill(merchant_id, EPOCH, b"other", stored(4)) == 5
    assert await shared.fetch(merchant_id, EPOCH, NAME) == Found(5, kept)
    assert await shared.fetch(merchant_id, EPOCH, b"other") == Found(5, None)


@pytest.mark.parametrize("number", [5, 6, 2**53])
async def test_an_answer_of_the_known_revision_or_above_replaces(
    shared: SharedCache, number: int
) -> None:
    """It is stored, and its revision is known from then on."""
    merchant_id, new = uuid4(), stored(number, b"new")
    await shared.fill(merchant_id, EPOCH, NAME, stored(5, b"old"))
    assert await shared.fill(merchant_id, EPOCH, NAME, new) == number
    assert await shared.fetch(merchant_id, EPOCH, NAME) == Found(number, new)


async def test_an_announcement_makes_stored_answers_old(shared: SharedCache) -> None:
    """They may stay, but the revision that is fetched beside them is above theirs."""
    merchant_id = uuid4()
    await shared.fill(merchant_id, EPOCH, NAME, stored(1))
    await announce(shared, merchant_id, 2)
    found = await shared.fetch(merchant_id, EPOCH, NAME)
    assert found.revision == 2
    assert found.stored is None or found.stored.revision < found.revision
    assert await shared.fill(merchant_id, EPOCH, NAME, stored(1)) == 2


async def test_revisions_only_rise(shared: SharedCache) -> None:
    """A lower announcement changes nothing; numbers are compared as numbers."""
    merchant_id = uuid4()
    for told, known in (
        (9, 9),
        (10, 10),
        (2, 10),
        (10, 10),
        (2**53 - 1, 2**53 - 1),
        (1, 2**53 - 1),
    ):
        await announce(shared, merchant_id, told)
        assert (await shared.fetch(merchant_id, EPOCH, NAME)).revision == known


async def test_merchants_epochs_and_names_are_apart(shared: SharedCache) -> None:
    """What is told of one says nothing of another."""
    one, other = uuid4(), uuid4()
    await shared.fill(one, EPOCH, NAME, stored(7))
    assert await shared.fetch(other, EPOCH, NAME) == Found(None, None)
    assert await shared.fetch(one, EPOCH, b"another") == Found(7, None)
    await announce(shared, one, 3, "another")
    assert (await shared.fetch(one, "another", b"unknown")).revision == 3
    assert (await shared.fetch(one, EPOCH, NAME)).revision == 7


async def test_an_answer_ends_in_time(shared: SharedCache) -> None:
    """After its end there is no answer, or one that says that it has ended."""
    merchant_id = uuid4()
    for lifetime in (0.05, -1.0):
        await shared.fill(merchant_id, EPOCH, NAME, stored(1, lifetime=lifetime))
        await asyncio.sleep(0.1)
        found = await shared.fetch(merchant_id, EPOCH, NAME)
        assert found.revision == 1
        assert found.stored is None or found.stored.expires_at <= time.time()


NUMBERS = st.integers(0, 12)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("announce"), NUMBERS, st.just(b"")),
        st.tuples(st.just("fill"), NUMBERS, st.sampled_from([b"a", b"b"])),
    ),
    max_size=20,
)


@settings(max_examples=50, deadline=None)
@given(steps=STEPS)
async def test_any_history(shared: SharedCache, steps: list[tuple[str, int, bytes]]) -> None:
    """The revision is the highest that was told; what is not below it is stored."""
    merchant_id, known, answers = uuid4(), None, dict[bytes, Stored]()
    for what, number, name in steps:
        below = known is not None and number < known
        if what == "announce":
            await announce(shared, merchant_id, number)
        else:
            answer = stored(number, b"%d" % len(answers))
            told = await shared.fill(merchant_id, EPOCH, name, answer)
            assert told == (known if below else number)
            if not below:
                answers[name] = answer
        known = number if known is None else max(known, number)
        for each in (b"a", b"b"):
            found = await shared.fetch(merchant_id, EPOCH, each)
            kept = answers.get(each)
            assert found.revision == known
            # One that is below the revision is of no use, and may be gone.
            if kept is None or kept.revision == known:
                assert found.stored == kept
            else:
                assert found.stored in (None, kept)


async def test_fills_and_announcements_at_once(shared: SharedCache) -> None:
    """Whatever the order in which they come, the highest revision is known afterwards."""
    merchant_id = uuid4()
    work = [
        each
        for number in range(50)
        for each in (
            shared.fill(merchant_id, EPOCH, b"%d" % (number % 3), stored(number)),
            announce(shared, merchant_id, number),
        )
    ]
    await asyncio.gather(*work)
    for name in (b"0", b"1", b"2"):
        found = await shared.fetch(merchant_id, EPOCH, name)
        assert found.revision == 49
        assert found.stored is None or found.stored.revision <= 49


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[list[Announcement]]:
    """Lend the list of what is announced from now on."""
    heard: list[Announcement] = []
    listener = Listener(up=lambda: None, down=lambda: None, heard=heard.append)
    async with Redis.from_url(url) as redis, subscribed(redis, listener):
        yield heard


async def test_redis_tells_all_workers(valkey: str) -> None:
    """Every announcement is heard by all, a repeated one too, as it was made."""
    merchant_id = uuid4()
    async with AsyncExitStack() as stack:
        shared = await redis_cache(valkey, stack)
        ears = [await stack.enter_async_context(hearing(valkey)) for _ in range(2)]
        for number in (4, 4, 3):
            await shared.announce(merchant_id, Revision(EPOCH, number), 12.5)
        await eventually(lambda: all(len(heard) == 3 for heard in ears))
        for heard in ears:
            assert heard == [
                Announcement(merchant_id, Revision(EPOCH, number), 12.5) for number in (4, 4, 3)
            ]


async def test_redis_is_used_as_a_cache(valkey: str) -> None:
    """Every key of a merchant ends by itself, after its answers, and has the merchant's tag."""
    merchant_id = uuid4()
    async with AsyncExitStack() as stack:
        shared = await redis_cache(valkey, stack)
        redis = await stack.enter_async_context(Redis.from_url(valkey))
        await announce(shared, merchant_id, 1)
        await shared.fill(merchant_id, EPOCH, NAME, stored(1, lifetime=300))
        tag = b"{%b}:" % str(merchant_id).encode()
        keys = [key async for key in redis.scan_iter() if str(merchant_id).encode() in key]
        lifetimes = {key: await redis.ttl(key) for key in keys}
        assert len(keys) == 2
        assert all(key.startswith(tag) for key in keys)
        assert 295 < min(lifetimes.values()) <= 300 < max(lifetimes.values())


async def test_what_redis_has_from_elsewhere_is_a_miss(valkey: str) -> None:
    """What is no answer or no revision is no error of a caller, and is replaced."""
    merchant_id, answer = uuid4(), stored(1)
    async with AsyncExitStack() as stack:
        shared = await redis_cache(valkey, stack)
        redis = await stack.enter_async_context(Redis.from_url(valkey))
        await shared.fill(merchant_id, EPOCH, NAME, answer)
        [key] = [key async for key in redis.scan_iter(f"{{{merchant_id}}}:answer:*")]
        for spoilt in (b"", b"short", b"x" * 23):
            await redis.set(key, spoilt)
            assert (await shared.fetch(merchant_id, EPOCH, NAME)).stored is None
            await shared.fill(merchant_id, EPOCH, NAME, answer)
            assert await shared.fetch(merchant_id, EPOCH, NAME) == Found(1, answer)
        await redis.set(f"{{{merchant_id}}}:{EPOCH}:rev", "many")
        assert await shared.fetch(merchant_id, EPOCH, NAME) == Found(None, None)
