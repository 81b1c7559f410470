"""What a worker lets in, and what it learns from what it let in."""

import asyncio
import math
import time
from random import Random
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DeadlineExceededError, Reason, UnavailableError
from patron.analytics.v1 import analytics_service_pb2  # noqa: F401 - registers its methods
from patron.bill.v1 import bill_service_pb2  # noqa: F401 - registers its methods
from server.interceptors.deadline import deadline_of
from server.interceptors.interceptor import Call
from server.interceptors.method import Method
from server.interceptors.overload import Overload, UsualTime
from server.tasks import Background

REPORT = "/patron.analytics.v1.AnalyticsService/GetSummary"
READ = "/patron.bill.v1.BillService/GetBill"
WRITE = "/patron.bill.v1.BillService/CreateBill"
STREAM = "/patron.bill.v1.BillService/ImportBills"


def context(remaining: float | None = None) -> Any:
    """Return what is asked of a call's context."""
    return SimpleNamespace(time_remaining=lambda: remaining)


def method_of(path: str) -> Method:
    """Return the method of this path."""
    make: Any = (
        grpc.stream_unary_rpc_method_handler
        if path == STREAM
        else grpc.unary_unary_rpc_method_handler
    )
    return Method.describe(path, make(lambda *_: None))


class Worker:
    """A worker whose calls end when they are let go."""

    def __init__(self, *, max_in_flight: int = 10) -> None:
        self.overload = Overload(max_in_flight=max_in_flight, max_streams=2)
        self._let_go = asyncio.Event()
        self._calls: list[asyncio.Future[Any]] = []
        self._wrapped: dict[str, Call] = {}

    async def _call(self, _request: object, _context: object) -> str:
        await self._let_go.wait()
        return "answer"

    async def lets_in(self, path: str) -> bool:
        """Call the method, and return whether the call is let in; there it stays."""
        if path not in self._wrapped:
            self._wrapped[path] = self.overload.wrap(method_of(path), self._call)
        call = asyncio.ensure_future(self._wrapped[path](b"", context()))
        await asyncio.sleep(0)
        if not call.done():
            self._calls.append(call)
            return True
        refused = call.exception()
        assert isinstance(refused, UnavailableError)
        assert refused.reason is Reason.OVERLOADED
        assert 0.5 <= refused.retry_after <= 1.5
        return False

    async def how_many(self, path: str) -> int:
        """Return how many more calls of the method are let in."""
        count = 0
        while await self.lets_in(path):
            count += 1
        return count

    async def finish(self, *, cancel: bool) -> None:
        self._let_go.set()
        for call in self._calls if cancel else ():
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)


@pytest.mark.parametrize("cancel", [False, True])
async def test_writes_before_reads_before_reports(cancel: bool) -> None:
    """Reports fill 60 % of the bound, reads 80 %, writes all of it; what ends makes room."""
    worker = Worker()

    assert [await worker.how_many(path) for path in (REPORT, READ, WRITE)] == [6, 2, 2]
    assert worker.overload.in_flight == 10
    await worker.finish(cancel=cancel)
    assert worker.overload.in_flight == 0


async def test_streams_are_no_work_in_flight() -> None:
    """Streams have a bound of their own, and take none of the others' room."""
    worker = Worker()

    assert await worker.how_many(STREAM) == 2
    assert (worker.overload.in_flight, worker.overload.streams) == (0, 2)
    assert await worker.how_many(WRITE) == 10
    assert not await worker.lets_in(STREAM)
    await worker.finish(cancel=True)
    assert worker.overload.streams == 0


async def test_work_that_goes_on_keeps_its_place() -> None:
    """Clients that leave at once cannot have more work begun than the bound lets in."""
    let_go = asyncio.Event()
    reached = 0

    async def write() -> None:
        nonlocal reached
        reached += 1
        await let_go.wait()

    async with Background() as background:

        async def call(_request: object, _context: object) -> None:
            await background.finish(write())

        overload = Overload(max_in_flight=10, max_streams=1, abandoned=lambda: background.abandoned)
        guarded = overload.wrap(method_of(WRITE), call)
        for _ in range(1_000):
            leaving = asyncio.ensure_future(guarded(b"", context()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        assert (reached, background.abandoned, overload.in_flight) == (10, 10, 0)

        let_go.set()
        await asyncio.sleep(0.01)
        assert background.abandoned == 0
        await guarded(b"", context())


async def test_work_that_somebody_waits_for() -> None:
    """Work is abandoned when the last of those who waited for it has left."""
    let_go = asyncio.Event()
    async with Background() as background:
        task = background.start(let_go.wait())
        first, second = (asyncio.ensure_future(background.join(task)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert background.abandoned == 0
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert background.abandoned == 1
        third = asyncio.ensure_future(background.join(task))
        await asyncio.sleep(0)
        assert background.abandoned == 0
        let_go.set()
        assert await third
    assert background.abandoned == 0


async def test_the_smallest_bound() -> None:
    """A worker that takes one call at a time takes one of any kind."""
    for path in (REPORT, READ, WRITE):
        worker = Worker(max_in_flight=1)
        assert await worker.how_many(path) == 1
        await worker.finish(cancel=False)


@pytest.mark.parametrize("path", [READ, STREAM])
@pytest.mark.parametrize("remaining", [0.0, -1.0])
async def test_a_deadline_that_is_over(path: str, remaining: float) -> None:
    """A call whose deadline is over does not reach what is inside."""
    reached: list[object] = []

    async def call(request: object, _context: object) -> None:
        reached.append(request)

    overload = Overload(max_in_flight=1, max_streams=1)
    guarded = overload.wrap(method_of(path), call)
    with pytest.raises(DeadlineExceededError) as refused:
        await guarded(b"", context(remaining))
    assert refused.value.reason is Reason.DEADLINE_TOO_SHORT
    assert not reached


async def test_a_deadline_shorter_than_usual() -> None:
    """A call with less time than nine of ten calls take is refused; one with more is let in."""

    async def call(_request: object, _context: object) -> None:
        await asyncio.sleep(0.01)

    guarded = Overload(max_in_flight=200, max_streams=1).wrap(method_of(READ), call)
    await guarded(b"", context(0.003))
    await asyncio.gather(*(guarded(b"", context()) for _ in range(150)))

    with pytest.raises(DeadlineExceededError):
        await guarded(b"", context(0.003))
    await guarded(b"", context(5))
    await guarded(b"", context())


@pytest.mark.parametrize("remaining", [None, 1e18, 5.0])
async def test_the_deadline_is_asked_for_once(remaining: float | None) -> None:
    """What is inside learns the deadline without the transport, and whether there is one."""
    asked: list[object] = []

    def time_remaining() -> float | None:
        asked.append(remaining)
        return remaining

    async def call(_request: object, inner: Any) -> float:
        return deadline_of(inner) - time.monotonic()

    overload = Overload(max_in_flight=1, max_streams=1)
    for path in (READ, STREAM):
        asked.clear()
        guarded: Any = overload.wrap(method_of(path), call)
        # A call has a task of its own, and so what is noted is its own.
        left = await asyncio.create_task(
            guarded(b"", SimpleNamespace(time_remaining=time_remaining))
        )
        assert left == (pytest.approx(5, abs=1) if remaining == 5 else math.inf)
        assert len(asked) == 1


@given(st.integers(0, 2**32), st.floats(0.05, 0.5), st.floats(0.1, 1.5))
def test_nine_of_ten_take_longer(seed: int, median: float, spread: float) -> None:
    """The usual time comes to lie near the first decile, whatever the times are like."""
    random, usual, now = Random(seed), UsualTime(), 1_000.0
    below: list[bool] = []
    for _ in range(4_000):
        took = median * random.lognormvariate(0, spread)
        below.append(took <= usual.at(now))
        usual.learn(now - took, now)
        now += 0.001

    assert 0.03 <= sum(below[-2_000:]) / 2_000 <= 0.2


@given(st.floats(0.01, 10), st.floats(0.002, 1))
def test_an_estimate_does_not_last(slow: float, remaining: float) -> None:
    """However slow a method was, calls with a short deadline are let in again before long."""
    usual, now = UsualTime(), 1_000.0
    for _ in range(1_000):
        usual.learn(now - slow, now)
        now += 0.001
    estimate = usual.at(now)
    assert slow / 1.2 <= estimate <= slow * 1.02

    halvings = max(0.0, math.log2(estimate / remaining))
    assert not usual.exceeds(remaining, now + 1.01 + halvings)
    assert usual.at(now + 60) == UsualTime.LEAST
