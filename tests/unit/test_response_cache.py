"""What the cache of answers keeps, for how long, and how often it computes."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from domain.errors import FailedPreconditionError, NotFoundError, Reason
from domain.model.merchant import Revision
from server.answers import Computed, Key, Question, Served
from server.cache.local import LocalCache
from server.cache.responses import ResponseCache
from server.tasks import Background
from tests.support.chain_server import eventually
from tests.support.shared_cache import SimulatedSharedCache

MERCHANT = UUID(int=1)
LIFETIME = 300.0
LOCAL_LIFETIME = 5.0


def errors_of(logs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the lines that tell of errors; other parts of the process may log what they do."""
    return [line for line in logs if line["log_level"] == "error"]


class Bench:
    """The cache, a clock, and a handler whose answers are numbered."""

    def __init__(self, *, capacity: int = 100_000) -> None:
        self.now = 1000.0
        self.chance = 0.5
        self.computed = 0
        self.valid_until = self.now + 86_400
        self.effort = 0.0
        self.revision = Revision("epoch", 1)
        self.error: Exception | None = None
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.background = Background()
        self.local = LocalCache(capacity=capacity, clock=lambda: self.now)
        self.local.open()
        self.cache = ResponseCache(
            self.local,
            SimulatedSharedCache(lambda: self.now, lambda _: None),
            self.background,
            local_lifetime=LOCAL_LIFETIME,
            clock=lambda: self.now,
            chance=lambda: self.chance,
        )
        self.cache.learn(MERCHANT, self.revision)

    async def compute(self) -> Computed:
        self.computed += 1
        number = self.computed
        await asyncio.sleep(0)
        await self.may_end.wait()
        self.now += self.effort
        if self.error is not None:
            raise self.error
        return Computed(f"{number}".encode(), self.revision, self.valid_until)

    async def ask(self, request: bytes = b"", seen: Revision | None = None) -> Served:
        key = Key(MERCHANT, "/method", request)
        served = self.cache.find(key, seen)
        if served is None:
            question = Question(key, b"schema", LIFETIME, self.compute)
            served = await self.cache.get(question, seen)
        return served

    async def rest(self) -> None:
        """Wait for what goes on in the background."""
        async with self.background:
            pass


async def test_many_callers_share_one_computation() -> None:
    """However many ask at once, it is computed once; who leaves takes nobody along."""
    bench = Bench()
    callers = [asyncio.create_task(bench.ask()) for _ in range(50)]
    await asyncio.sleep(0)
    callers[0].cancel()
    answers = await asyncio.gather(*callers, return_exceptions=True)

    assert bench.computed == 1
    assert isinstance(answers[0], asyncio.CancelledError)
    bodies = {answer.body for answer in answers[1:] if isinstance(answer, Served)}
    assert bodies == {b"1"}


async def test_callers_of_a_revision_share_one_computation() -> None:
    """Callers who have all seen the same new revision do not compute one by one."""
    bench = Bench()
    await bench.ask()
    bench.revision = Revision("epoch", 2)
    await asyncio.gather(*(bench.ask(seen=bench.revision) for _ in range(50)))

    assert bench.computed == 2


async def test_callers_of_a_revision_that_nobody_has_reached_share_computations() -> None:
    """However many send it, it is looked for twice at most: all who join the first, and again."""
    bench = Bench()
    callers = (bench.ask(seen=Revision("epoch", 9)) for _ in range(50))
    refusals = await asyncio.gather(*callers, return_exceptions=True)

    assert {type(refusal) for refusal in refusals} == {FailedPreconditionError}
    assert bench.computed == 2


async def test_an_answer_comes_from_memory_then_from_redis_then_from_its_handler() -> None:
    """Each tier has its lifetime, and the client is told what the answer reflects."""
    bench = Bench()
    first = await bench.ask()
    assert dict(first.trailers) == {"patron-cache": "miss", "patron-revision": "epoch.1"}
    await bench.rest()
    second = await bench.ask()
    assert dict(second.trailers) == {"patron-cache": "hit", "patron-revision": "epoch.1"}
    assert (bench.cache.counts.local_hits, bench.cache.counts.shared_hits) == (1, 0)
    bench.now += LOCAL_LIFETIME
    await bench.ask()
    assert (bench.cache.counts.local_hits, bench.cache.counts.shared_hits) == (1, 1)
    bench.now += LIFETIME
    await bench.ask()
    assert bench.computed == 2


async def test_no_answer_outlives_the_merchants_day() -> None:
    """At midnight a report is of yesterday, in both tiers."""
    bench = Bench()
    bench.valid_until = bench.now + 2
    await bench.ask()
    await bench.rest()
    bench.now += 1.9
    await bench.ask()
    assert bench.computed == 1
    bench.now += 0.1
    await bench.ask()
    assert bench.computed == 2


async def test_what_is_in_memory_ends_with_what_it_came_from() -> None:
    """An answer that Redis keeps for another second is in memory for no longer."""
    bench = Bench()
    await bench.ask()
    await bench.rest()
    bench.now += LIFETIME - 1
    await bench.ask()
    assert bench.cache.counts.shared_hits == 1
    bench.now += 1
    await bench.ask()
    assert bench.computed == 2


async def test_nothing_of_before_a_subscription_is_kept() -> None:
    """What was read before the channel was up again may have missed a write: Redis is asked."""
    bench = Bench()
    reading = asyncio.create_task(bench.ask())
    bench.may_end.clear()
    await eventually(lambda: bench.computed)
    bench.local.close()
    bench.local.open()
    bench.may_end.set()
    await reading
    await bench.rest()
    await bench.ask()

    assert (bench.cache.counts.local_hits, bench.cache.counts.shared_hits) == (0, 1)


async def test_nobody_joins_a_computation_that_is_too_old() -> None:
    """A computation that began a lifetime ago has read what may not be served any more."""
    bench = Bench()
    first = asyncio.create_task(bench.ask())
    await asyncio.sleep(0)
    bench.now += LIFETIME
    second = asyncio.create_task(bench.ask())
    await asyncio.gather(first, second)

    assert bench.computed == 2


async def test_errors_are_not_kept() -> None:
    """After a failure the next caller has it computed again."""
    bench = Bench()
    bench.error = NotFoundError(Reason.BILL_NOT_FOUND, "no such bill")
    for _ in range(2):
        with pytest.raises(NotFoundError):
            await bench.ask()
    bench.error = None
    await bench.ask()

    assert bench.computed == 3


async def test_what_nobody_waits_for_fails_with_one_line() -> None:
    """An unexpected failure is logged when no caller is there to be told, and only then."""
    bench = Bench()
    bench.may_end.clear()
    bench.error = ValueError("a secret")
    with capture_logs() as logs:
        callers = [asyncio.create_task(bench.ask()) for _ in range(3)]
        await eventually(lambda: bench.computed)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        assert not errors_of(logs)
        bench.may_end.set()
        await bench.rest()
    assert len(errors_of(logs)) == 1
    assert "ValueError" in str(logs)
    assert "a secret" not in str(logs)

    with capture_logs() as logs:
        told = await asyncio.gather(*(bench.ask() for _ in range(3)), return_exceptions=True)
        bench.error = NotFoundError(Reason.BILL_NOT_FOUND, "no such bill")
        leaving = asyncio.create_task(bench.ask())
        await eventually(lambda: bench.computed == 3)
        leaving.cancel()
        await bench.rest()
    assert [type(error) for error in told] == [ValueError] * 3
    assert not errors_of(logs)


async def test_an_early_refresh_that_fails_is_logged() -> None:
    """Nobody waits for it, so nobody else would tell."""
    bench = Bench()
    bench.effort = 1.0
    bench.valid_until = bench.now + 4
    await bench.ask()
    await bench.rest()
    bench.chance = 0.99
    bench.now += 1
    bench.error = ValueError("unexpected")
    with capture_logs() as logs:
        await bench.ask()
        await bench.rest()
    assert len(errors_of(logs)) == 1


@pytest.mark.parametrize("chance, refreshed", [(0.99, True), (0.0, False)])
async def test_a_costly_answer_is_refreshed_before_its_end(chance: float, refreshed: bool) -> None:
    """Near its end chance decides who has it computed again; nobody waits for it."""
    bench = Bench()
    bench.effort = 1.0
    bench.valid_until = bench.now + 4
    await bench.ask()
    await bench.rest()
    bench.chance = chance
    bench.valid_until += 86_400
    bench.now += 1
    answers = [await bench.ask() for _ in range(3)]
    await bench.rest()

    assert {answer.body for answer in answers} == {b"1"}
    assert bench.computed == (2 if refreshed else 1)


async def test_memory_is_bounded() -> None:
    """The answers that were not asked for lately make room."""
    bench = Bench(capacity=10_000)
    for number in range(100):
        await bench.ask(b"%d" % number)
        await bench.ask(b"0")
    assert bench.local.size <= 10_000
    assert 1 < len(bench.local) < 10
    await bench.rest()
    bench.cache.counts.local_hits = 0
    await bench.ask(b"0")
    assert bench.cache.counts.local_hits == 1


async def test_merchants_do_not_evict_each_other() -> None:
    """One merchant's write leaves the answers of others in memory."""
    bench = Bench()
    await bench.ask()
    bench.cache.learn(UUID(int=2), Revision("epoch", 7))
    await bench.ask()
    assert bench.computed == 1
    bench.cache.learn(MERCHANT, Revision("epoch", 2))
    bench.revision = Revision("epoch", 2)
    await bench.ask()
    assert bench.computed == 2


@pytest.mark.parametrize("seen", [Revision("epoch", 9), Revision("other", 1)], ids=str)
async def test_what_nobody_can_have_seen_is_refused(seen: Revision) -> None:
    """A revision that the database has not reached, or is of another one, is said to be unknown.

    Nor does it make anything stale: the next caller gets the kept answer.
    """
    bench = Bench()
    await bench.ask()
    with pytest.raises(FailedPreconditionError) as refused:
        await bench.ask(seen=seen)
    assert refused.value.reason is Reason.REVISION_UNKNOWN
    await bench.rest()
    computed = bench.computed
    await bench.ask()
    assert bench.computed == computed
