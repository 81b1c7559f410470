"""A merchant's limit holds over all workers, whatever becomes of Redis."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import grpc
import grpc.aio
import pygrpc_native.aio
import pytest
from google.rpc.error_details_pb2 import QuotaFailure, RetryInfo
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from patron.bill.v1.bill_service_pb2 import GetBillRequest, ImportBillsRequest, ListBillsRequest
from server.embedded import EmbeddedValkey, processes
from server.limits import Budget, RedisLeases, RedisRateLimiter
from tests.support import limited_worker
from tests.support.chain_server import BILL_ID, Refusal, refusal, serve, whole_chain
from tests.support.fleet import RETRYING, Ground, common_ground
from tests.support.limited_worker import drive
from tests.support.service import Client
from tests.support.tokens import MERCHANT, Issuer

RATE, BURST = 100, 10
BUDGET = Budget("read", RATE, BURST)
TIMEOUT = 0.1


class Valkey:
    """A Valkey that can be broken."""

    def __init__(self, data_dir: Path, url: str) -> None:
        self.url = url
        [self._process] = processes.working_in(data_dir / "valkey", "valkey-server")

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """Run a Valkey of the test's own."""
    with EmbeddedValkey(tmp_path) as url:
        valkey = Valkey(tmp_path, url)
        yield valkey
        with suppress(ProcessLookupError):
            valkey.send(signal.SIGCONT)


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    """Return a connection to it."""
    async with Redis.from_url(valkey.url) as redis:
        yield redis


@pytest.fixture
async def workers(valkey: Valkey) -> AsyncIterator[list[RedisRateLimiter]]:
    """Return the limiters of two workers, each on connections of its own."""
    async with Redis.from_url(valkey.url) as one, Redis.from_url(valkey.url) as two:
        yield [
            RedisRateLimiter(BUDGET, RedisLeases(redis, timeout=TIMEOUT), workers=2)
            for redis in (one, two)
        ]


async def lua_calls(redis: Redis) -> int:
    """Return how many scripts Valkey has run."""
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])


@pytest.mark.parametrize(
    "seconds, least", [(2, 0.8), pytest.param(10, 0.94, marks=pytest.mark.slow)]
)
async def test_two_workers_share_a_limit(
    valkey: Valkey, redis: Redis, seconds: int, least: float
) -> None:
    """100/s and a burst of 10, two processes, 1,000 calls/s: 950 to 1,010 of 10 s pass."""
    arguments = [valkey.url, json.dumps(asdict(BUDGET)), str(uuid4()), "500", str(seconds)]
    running = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", limited_worker.__name__, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for worker in running:
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*(worker.communicate(b"\n") for worker in running))
    reports = [json.loads(output) for output, _ in outputs]

    passed = sum(report["passed"] for report in reports)
    lasted = max(report["ended"] for report in reports) - min(report["begun"] for report in reports)
    stalled = sum(report["stalled"] for report in reports)
    assert least * (RATE * (seconds - stalled) + BURST) <= passed <= RATE * lasted + BURST, reports
    assert sum(report["refused"] for report in reports) > 4 * passed
    # One question for each token, and one in 20 ms for each worker that was refused.
    asked = sum(report["asked"] for report in reports)
    # The first of each worker may have been before Valkey knew the script.
    assert asked <= await lua_calls(redis) <= asked + 2
    assert asked <= passed + 2 * 50 * lasted


async def test_refused_calls_do_not_reach_redis(
    workers: list[RedisRateLimiter], redis: Redis
) -> None:
    """A flood of calls that are refused is refused from memory."""
    limiter, merchant_id = workers[0], uuid4()
    while not await limiter.acquire(merchant_id):
        pass
    before = await lua_calls(redis)
    waits = [await limiter.acquire(merchant_id) for _ in range(5_000)]

    refused = sum(map(bool, waits))
    assert refused > 4_000
    assert await lua_calls(redis) - before <= 5_000 - refused + 50


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
async def test_redis_gone(
    workers: list[RedisRateLimiter], valkey: Valkey, how: signal.Signals
) -> None:
    """Without Redis each worker lets its part of the limit pass, and Redis is left alone."""
    valkey.send(how)
    merchant_id, seconds = uuid4(), 2
    begun = asyncio.get_running_loop().time()
    stalls = await asyncio.gather(
        *(drive(limiter, merchant_id, 500, seconds) for limiter in workers)
    )
    lasted = asyncio.get_running_loop().time() - begun

    for limiter in workers:
        counts = limiter.counts
        allowed = RATE / 2 * lasted + BURST / 2
        assert 0.7 * RATE / 2 * (seconds - max(stalls)) <= counts.passed <= allowed
        assert counts.fallbacks == counts.passed + counts.refused
        assert counts.asked <= 1 + lasted


@dataclass(frozen=True)
class Told:
    """What became of a call."""

    reason: str
    """Why it was refused; empty: it passed."""
    seconds: float


async def read_for(clients: list[Client], *, rate: float, seconds: float) -> list[Told]:
    """Read so many times a second, by all clients in turn; return what became of each call."""

    async def read(client: Client) -> Told:
        begun = time.monotonic()
        try:
            await client.bills.ListBills(ListBillsRequest(), timeout=30)
        except grpc.aio.AioRpcError as error:
            return Told(Refusal(error).reason, time.monotonic() - begun)
        return Told("", time.monotonic() - begun)

    calls: list[asyncio.Task[Told]] = []
    begun = time.monotonic()
    for number in range(round(rate * seconds)):
        await asyncio.sleep(begun + number / rate - time.monotonic())
        calls.append(asyncio.create_task(read(clients[number % len(clients)])))
    return await asyncio.gather(*calls)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Run the databases of a service."""
    with common_ground(tmp_path / "ground") as ground:
        yield ground


@pytest.mark.slow
async def test_workers_of_a_service(ground: Ground, tmp_path: Path) -> None:
    """Two workers keep one limit over gRPC; when Redis stops, calls don't, and fail of nothing."""
    with ground.fleet(tmp_path, "--workers", "2", PATRON_RATE_LIMIT_READ=str(RATE)) as fleet:
        valkey = Valkey(ground.data, ground.variables["PATRON_REDIS_URL"])
        service = ground.service(fleet.target)
        merchant_id = await service.create_merchant()
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(service.client(merchant_id, options=RETRYING))
                for _ in range(12)
            ]
            stack.callback(valkey.send, signal.SIGCONT)
            told: dict[str, list[Told]] = {}
            for phase in ("up", "stopped"):
                if phase == "stopped":
                    valkey.send(signal.SIGSTOP)
                begun = time.monotonic()
                told[phase] = await read_for(clients, rate=3 * RATE, seconds=3)
                lasted = time.monotonic() - begun
                passed = sum(not each.reason for each in told[phase])
                # The burst of a limit is a quarter of it; there are two at a change to the other.
                bursts = RATE / 4 * (1 if phase == "up" else 2)
                assert passed <= RATE * lasted + bursts
                assert passed >= (0.7 if phase == "up" else 0.5) * RATE * 3
                assert {each.reason for each in told[phase]} == {"", "RATE_LIMITED"}
            decisions = fleet.metric("patron_rate_limit_decisions_total")
            assert min(decisions.values()) > 0
            assert decisions.keys() == {0, 1}

        waits = {phase: sorted(each.seconds for each in told[phase]) for phase in told}
        # What a call may meet twice is the time-out; what the machine does besides, both may.
        assert waits["stopped"][-1] <= waits["up"][-1] + 2 * TIMEOUT + 0.5
        assert waits["stopped"][len(waits["stopped"]) * 9 // 10] < TIMEOUT
        fleet.running.stop()


async def test_redis_back(workers: list[RedisRateLimiter], valkey: Valkey) -> None:
    """A Redis that answers again is found by itself, and the limit is shared again."""
    limiter = workers[0]
    valkey.send(signal.SIGSTOP)
    assert await limiter.acquire(uuid4()) == 0
    assert limiter.counts.fallbacks == 1
    valkey.send(signal.SIGCONT)

    end = time.monotonic() + 5
    while True:
        before = limiter.counts.fallbacks
        await limiter.acquire(uuid4())
        if limiter.counts.fallbacks == before:
            break
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "transport", [grpc.aio.server, pygrpc_native.aio.server], ids=["grpcio", "native"]
)
async def test_what_a_refused_client_is_told(
    transport: Callable[..., grpc.aio.Server], redis: Redis, tmp_path: Path
) -> None:
    """RESOURCE_EXHAUSTED with the budget and the time after which the next call passes."""
    issuer = Issuer(tmp_path / "issuer")
    leases = RedisLeases(redis, timeout=1)
    chain = whole_chain(
        registry=CollectorRegistry(),
        verifier=issuer.verifier(),
        limiters={
            name: RedisRateLimiter(Budget.of(name, rate), leases, workers=1)
            for name, rate in {"read": 1, "bulk": 1}.items()
        },
    )
    bearer = (("authorization", f"Bearer {issuer.token()}"),)
    request = GetBillRequest(bill_id=BILL_ID)
    async with serve(transport, chain) as served:
        await served.billing.GetBill(request, metadata=bearer)
        refused = await refusal(served.billing.GetBill(request, metadata=bearer))
        # A stream counts once, as what it is.
        batches = [ImportBillsRequest() for _ in range(3)]
        for batch in batches:
            batch.bills.add(id=BILL_ID, currency="USD").lines.add(
                description="CD", quantity_milli=1
            )
        await served.billing.ImportBills(iter(batches), metadata=bearer)
        refused_stream = await refusal(served.billing.ImportBills(iter(batches), metadata=bearer))
        wait = refused.detail(RetryInfo).retry_delay.ToNanoseconds() / 1e9
        assert 0 < wait <= 1
        await asyncio.sleep(wait)
        await served.billing.GetBill(request, metadata=bearer)

    for each, budget in ((refused, "read"), (refused_stream, "bulk")):
        assert each.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert each.reason == "RATE_LIMITED"
        [violation] = each.detail(QuotaFailure).violations
        assert violation.subject == f"merchant:{MERCHANT}:{budget}"
