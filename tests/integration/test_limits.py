"""A merchant's budget, shared by workers through a real Valkey."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from random import Random
from uuid import uuid4

import pytest
import redis as blocking
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from server.embedded import EmbeddedValkey
from server.limits import Budget, Counts, RedisLeases, RedisRateLimiter
from server.limits.leases import LAPSE
from tests.support.simulation import Network, Workers, largest_excess

FAST = 0.001
"""A usual distance to Redis, in seconds."""

TIMEOUT = 0.1
"""How long the server waits for Redis unless it is told otherwise, in seconds."""


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Valkey, and return its URL."""
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture(scope="module")
def server(valkey: str) -> Iterator[blocking.Redis]:
    """Return a connection that blocks, for the simulated time."""
    with blocking.Redis.from_url(valkey) as server:
        yield server


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    """Return a connection as the server has one."""
    async with Redis.from_url(valkey) as redis:
        yield redis


def limiter(redis: Redis, rate: int) -> RedisRateLimiter:
    """Return the limiter of one of two workers."""
    return RedisRateLimiter(Budget.of("read", rate), RedisLeases(redis, timeout=5), workers=2)


@dataclass(frozen=True)
class History:
    """What happens to some workers."""

    rate: int
    workers: int
    distance: float
    """How far Redis is at most, in seconds."""
    steps: list[tuple[float, int, int]]
    """After which pause which worker is called by how many clients at once."""
    random: Random


HISTORIES = st.builds(
    History,
    rate=st.integers(1, 3000),
    workers=st.integers(1, 6),
    distance=st.sampled_from([0.0001, FAST, 0.02, 0.049]),
    steps=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.0005, 0.009, 0.019, 0.05, 0.09, 0.0999, 0.11, 1.5]),
            st.integers(0, 5),
            st.sampled_from([1, 1, 2, 8, 40]),
        ),
        min_size=20,
        max_size=50,
    ),
    random=st.integers(0, 2**32).map(Random),
)


@settings(max_examples=40, deadline=None)
@given(history=HISTORIES)
async def test_no_window_exceeds_the_limit(server: blocking.Redis, history: History) -> None:
    """In any W seconds at most rate * W + burst calls pass, leases outstanding included."""
    budget = Budget.of("read", history.rate)
    workers = Workers(
        server,
        budget,
        history.workers,
        Network(lambda: history.random.uniform(0, history.distance)),
    )
    for pause, worker, calls in history.steps:
        await workers.time.advance(pause)
        workers.call(worker, calls)
    await workers.finish()

    # Where one token for every worker is the whole burst, a call counts when Redis lets it pass,
    # which is up to a distance before the worker is told.
    tiny = budget.burst < history.workers + 0.02 * history.rate + 1
    allowed = budget.burst + (history.rate * history.distance if tiny else 0)
    assert largest_excess(workers.passed, history.rate) <= allowed + 1e-6


@pytest.mark.parametrize("rate, burst", [(4, 1), (100, 10), (800, 200)])
@pytest.mark.parametrize("count", [1, 2, 8])
async def test_the_limit_can_be_used_up(
    server: blocking.Redis, rate: int, burst: float, count: int
) -> None:
    """When all that the limit allows is asked for, it passes, on any number of workers."""
    workers = Workers(server, Budget("read", rate, burst), count, Network(lambda: FAST))
    pause, seconds = 0.005, 3
    for step in range(round(seconds / pause)):
        workers.call(step, max(1, round(2 * rate * pause)))
        await workers.time.advance(pause)
    await workers.finish()

    assert len(workers.passed) >= 0.95 * (rate * seconds + burst) - 1


async def drive(workers: Workers, *, rate: float, seconds: float) -> None:
    """Have the workers called so many times a second, one after the other, for so long."""
    pause = 0.01
    for step in range(round(seconds / pause)):
        workers.call(step, round(rate * (step + 1) * pause) - round(rate * step * pause))
        await workers.time.advance(pause)
    await workers.finish()


@pytest.mark.parametrize("rate", [100, 1000])
@pytest.mark.parametrize("count", [1, 4])
async def test_a_redis_that_is_slow(server: blocking.Redis, rate: int, count: int) -> None:
    """Answers just in time count like fast ones: the limit holds, and all of it can be used."""
    random, seconds = Random(rate + count), 5
    network = Network(lambda: random.uniform(0.3, 0.499) * TIMEOUT, TIMEOUT)
    workers = Workers(server, Budget.of("read", rate), count, network)
    await drive(workers, rate=3 * rate, seconds=seconds)

    assert largest_excess(workers.passed, rate) <= rate / 4 + 1e-6
    assert len(workers.passed) >= 0.85 * rate * seconds
    assert sum(limiter.counts.fallbacks for limiter in workers.limiters) == 0
    assert max(workers.waits) <= 3 * TIMEOUT


@pytest.mark.parametrize("rate", [100, 10_000_000])
@pytest.mark.parametrize("distance", [FAST, 0.49 * TIMEOUT])
async def test_calls_within_the_limit(server: blocking.Redis, rate: int, distance: float) -> None:
    """However slow Redis is and however long workers stall, who keeps to the limit is let in."""
    random = Random(rate)
    network = Network(lambda: distance, TIMEOUT, stall=lambda: random.choice([0, 0, 0.15, 0.4]))
    workers = Workers(server, Budget.of("read", rate), 2, network)
    await drive(workers, rate=20, seconds=10)
    await workers.call(0, 10).time.advance(1)

    assert workers.refused == 0
    assert sum(limiter.counts.fallbacks for limiter in workers.limiters) == 0


@pytest.mark.parametrize("count", [1, 4])
async def test_stalls(server: blocking.Redis, count: int) -> None:
    """What Redis has let pass may pass later by a stall, and nothing passes in addition."""
    random, rate, stall = Random(count), 1000, 0.4
    network = Network(lambda: 0.04, TIMEOUT, stall=lambda: random.choice([0, 0, 0, stall]))
    workers = Workers(server, Budget.of("read", rate), count, network)
    await drive(workers, rate=3 * rate, seconds=5)

    late = 0.04 + stall - LAPSE
    assert largest_excess(workers.passed, rate) <= rate / 4 + rate * late


async def test_answers_come_and_fail(server: blocking.Redis) -> None:
    """Each change between Redis' word and the worker's own lets at most another burst pass."""
    random, rate, seconds = Random(5), 1000, 10
    network = Network(lambda: random.uniform(0.3, 0.55) * TIMEOUT, TIMEOUT)
    workers = Workers(server, Budget.of("read", rate), 1, network)
    await drive(workers, rate=3 * rate, seconds=seconds)

    assert 0 < workers.limiters[0].counts.fallbacks < len(workers.passed) + workers.refused
    assert len(workers.passed) <= 1.25 * rate * seconds + rate / 4


async def test_a_silent_redis_is_tried_by_one_call(server: blocking.Redis) -> None:
    """Those who wait when it falls silent lose a time-out; then it is one call a second."""
    workers = Workers(server, Budget.of("read", 1000), 1, Network(lambda: 1.0, TIMEOUT))
    await drive(workers, rate=200, seconds=0.5)
    workers.waits.clear()
    await drive(workers, rate=200, seconds=5)

    assert 4 <= sum(wait > 0 for wait in workers.waits) <= 6
    assert max(workers.waits) <= TIMEOUT * 1.01
    assert workers.refused == 0


async def test_burst_after_a_pause(server: blocking.Redis) -> None:
    """A merchant that was quiet may make all calls of the burst at once, and no more."""
    workers = Workers(server, Budget("read", 100, 25), 2, Network(lambda: 0))
    for _ in range(3):
        await workers.call(0, 20).call(1, 20).time.advance(0)
        assert len(workers.passed) == 25
        await workers.time.advance(10)
        workers.passed.clear()


async def test_callers_share_a_question(redis: Redis) -> None:
    """Calls that come together ask Redis once, and one that is cancelled harms no other."""
    limits, merchant_id = limiter(redis, 1000), uuid4()
    first, *others = [asyncio.create_task(limits.acquire(merchant_id)) for _ in range(20)]
    await asyncio.sleep(0)
    first.cancel()

    assert await asyncio.gather(*others) == [0] * 19
    assert limits.counts == Counts(asked=1, passed=19)
    assert limits.take(merchant_id)
    assert not limits.take(merchant_id)


async def test_leases_lapse(redis: Redis) -> None:
    """What was not spent within a tenth of a second is asked for again."""
    limits, merchant_id = limiter(redis, 1000), uuid4()
    assert await limits.acquire(merchant_id) == 0
    await asyncio.sleep(LAPSE)

    assert not limits.take(merchant_id)
    assert await limits.acquire(merchant_id) == 0
    assert limits.counts.asked == 2


async def test_refusals_are_remembered(redis: Redis) -> None:
    """A refused call is told when to come again; until then nobody asks Redis."""
    limits, merchant_id = limiter(redis, 1), uuid4()
    assert await limits.acquire(merchant_id) == 0
    waits = [await limits.acquire(merchant_id) for _ in range(100)]

    assert 0.5 < min(waits) <= waits[0] <= 1
    assert limits.counts == Counts(asked=1, passed=1, refused=100)


async def test_merchants_and_budgets_are_separate(redis: Redis) -> None:
    """What one merchant used up, another one still has, and the same one in another budget."""
    limits, merchant_id = limiter(redis, 1), uuid4()
    other = RedisRateLimiter(Budget.of("write", 1), RedisLeases(redis, timeout=5), workers=2)

    assert await limits.acquire(merchant_id) == 0
    assert await limits.acquire(merchant_id) > 0
    assert await limits.acquire(uuid4()) == 0
    assert await other.acquire(merchant_id) == 0


async def test_redis_keeps_little(redis: Redis) -> None:
    """All keys of a merchant are on one node of a cluster, and gone when they say nothing more."""
    limits, merchant_id = limiter(redis, 100), uuid4()
    for _ in range(30):
        await limits.acquire(merchant_id)
    keys = await redis.keys(f"*{merchant_id}*")

    assert all(f"{{{merchant_id}}}" in str(key) for key in keys)
    assert all([0 < await redis.pttl(key) <= 2000 for key in keys])
    assert await redis.zcard(f"{{{merchant_id}}}:limit:read:leases") == 1


async def test_memory_is_bounded(redis: Redis) -> None:
    """Of so many merchants, those that last needed a lease, a share is kept."""
    budget, leases = Budget.of("read", 1000), RedisLeases(redis, timeout=5)
    limits = RedisRateLimiter(budget, leases, workers=1, remembered=2)
    first, second, third = uuid4(), uuid4(), uuid4()
    for merchant_id in (first, second, first, third):
        await limits.acquire(merchant_id)

    assert [limits.take(each) for each in (first, second, third)] == [True, False, True]


async def test_a_flushed_redis_is_told_the_script_again(redis: Redis) -> None:
    """A Redis that was restarted or flushed knows the script by the next call."""
    limits = limiter(redis, 100)
    assert await limits.acquire(uuid4()) == 0
    await redis.script_flush()

    assert await limits.acquire(uuid4()) == 0
    assert limits.counts.fallbacks == 0
