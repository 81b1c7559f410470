"""The apps of many merchants, as a process: what they are as JSON on stdin, calls until it closes.

An app asks for reports where its merchant has the feature, and for customers and bills everywhere.
It learns who has the feature as an app in the field does that has not asked: by being refused.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import grpc.aio
import msgspec

from patron.analytics.v1.analytics_pb2 import Period
from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest
from patron.bill.v1.bill_service_pb2 import ListBillsRequest
from patron.customer.v1.customer_service_pb2 import ListCustomersRequest
from tests.support.command_line import REPOSITORY, environment

_CONNECTIONS: Final = 24
_DEADLINE_SECONDS: Final = 20.0
_OUTSIDERS: Final = 0.1
"""Which share of the asked reports is asked for by those who were refused the last time."""
_REPORT: Final = "/patron.analytics.v1.AnalyticsService/GetSummary"
_EVERYBODY: Final = (
    ("/patron.customer.v1.CustomerService/ListCustomers", ListCustomersRequest(page_size=20)),
    ("/patron.bill.v1.BillService/ListBills", ListBillsRequest(page_size=20)),
)


class Apps(msgspec.Struct, frozen=True, kw_only=True):
    """The apps."""

    target: str
    tokens: tuple[str, ...]
    """One for each merchant."""
    rate: float
    """How many calls they make a second, together; half of them ask for reports."""


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls."""

    reports: dict[str, int]
    """How many of the reports ended with each code."""
    others: dict[str, int]


class _Load:
    """The calls of the apps."""

    def __init__(self, apps: Apps, channels: Sequence[grpc.aio.Channel]) -> None:
        self._rate = apps.rate
        self._metadata = [(("authorization", f"Bearer {token}"),) for token in apps.tokens]
        # Bytes go through it as they are; the stubs know channels of messages only.
        self._channels: Sequence[Any] = channels
        self._let_in: set[int] = set()
        self.reports: Counter[str] = Counter()
        self.others: Counter[str] = Counter()

    async def run(self, stop: asyncio.Event) -> None:
        """Call at the rate, whether the calls before have ended or not."""
        begun, made = time.monotonic(), 0
        async with asyncio.TaskGroup() as calls:
            while not stop.is_set():
                while made < self._rate * (time.monotonic() - begun):
                    made += 1
                    calls.create_task(self._report() if made % 2 else self._other())
                await asyncio.sleep(0.005)

    async def _report(self) -> None:
        merchant = self._who_reports()
        today = datetime.now(UTC).date()
        period = Period(from_day=str(today - timedelta(days=30)), to_day=str(today))
        code = await self._call(_REPORT, GetSummaryRequest(period=period), merchant)
        self.reports[code] += 1
        if code == grpc.StatusCode.FAILED_PRECONDITION.name:
            self._let_in.discard(merchant)
        else:
            self._let_in.add(merchant)

    def _who_reports(self) -> int:
        if self._let_in and random.random() > _OUTSIDERS:
            return random.choice(tuple(self._let_in))
        return random.randrange(len(self._metadata))

    async def _other(self) -> None:
        path, request = random.choice(_EVERYBODY)
        code = await self._call(path, request, random.randrange(len(self._metadata)))
        self.others[code] += 1

    async def _call(self, path: str, request: Any, merchant: int) -> str:
        call = self._channels[merchant % _CONNECTIONS].unary_unary(path)
        try:
            await call(
                request.SerializeToString(),
                metadata=self._metadata[merchant],
                timeout=_DEADLINE_SECONDS,
            )
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        return grpc.StatusCode.OK.name


class RunningLoad:
    """A load that runs as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def stop(self) -> Outcomes:
        """Let the last calls end, and return what became of all."""
        output, _ = await self._process.communicate(b"")
        assert self._process.returncode == 0
        return msgspec.json.decode(output, type=Outcomes)


@asynccontextmanager
async def loaded(apps: Apps) -> AsyncIterator[RunningLoad]:
    """Run a load while the body runs, unless it stops it before."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.rollout_load"),
        cwd=REPOSITORY,
        env=environment(covered=False),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(apps) + b"\n")
    try:
        yield RunningLoad(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _main() -> None:
    apps = msgspec.json.decode(sys.stdin.buffer.readline(), type=Apps)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, stop.set)  # Nothing more comes: it is the end that is noticed.
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(
                # A connection of its own for each, so that they meet different workers.
                grpc.aio.insecure_channel(
                    apps.target, options=[("grpc.use_local_subchannel_pool", 1)]
                )
            )
            for _ in range(_CONNECTIONS)
        ]
        load = _Load(apps, channels)
        await load.run(stop)
    outcomes = Outcomes(reports=load.reports, others=load.others)
    sys.stdout.write(json.dumps(msgspec.to_builtins(outcomes)))


if __name__ == "__main__":
    asyncio.run(_main())
