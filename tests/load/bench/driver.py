"""The process of a group of users: the group as JSON on stdin, what they met on stdout.

Requests are encoded beforehand and calls go without serializers, for the driver shares its core
with the databases.
"""

import asyncio
import random
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import msgspec
import uvloop

from tests.load.bench import calls
from tests.load.bench.samples import percentile
from tests.load.bench.users import Experience, Group

_DEADLINE_SECONDS = 10
_CONNECT_SECONDS = 30
_CONNECTING_AT_ONCE = 50
_SUMMARY = "GetSummary"
_BILL = "CreateBill"


@dataclass(slots=True)
class _Record:
    """What is measured."""

    since: float
    until: float
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    methods: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    hits: int = 0

    def experience(self, busy: float) -> Experience:
        percents = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
        return Experience(
            calls=len(self.seconds),
            errors=self.errors,
            milliseconds={
                name: 1000 * percentile(self.seconds, percent) if self.seconds else 0
                for name, percent in percents.items()
            },
            methods=self.methods,
            hits=self.hits,
            busy=busy,
        )


def _requests(method: str, merchant: int) -> Iterator[bytes]:
    match method:
        case "GetSummary":
            return calls.repeated([calls.get_summary()])
        case "GetCustomer":
            return calls.repeated([calls.get_customer(merchant, each) for each in calls.CUSTOMERS])
        case "ListCustomers":
            return calls.repeated([calls.list_customers()])
        case "CreateBill":
            return calls.BillRequests(merchant)
        case _:
            raise ValueError(f"nobody calls {method}")


class _Users:
    """The requests of a group, shared by its users."""

    def __init__(self, group: Group, record: _Record) -> None:
        self._group = group
        self._record = record
        self._methods, self._weights = zip(*group.mix.items(), strict=True)
        self._everybody = list(group.tokens)
        self._metadata = {
            merchant: (("authorization", f"Bearer {token}"),)
            for merchant, token in group.tokens.items()
        }
        self._prepared = {
            (method, merchant): _requests(method, merchant)
            for method in group.mix
            for merchant in (group.billed if method == _BILL else self._everybody)
        }

    async def live(self, channel: grpc.aio.Channel) -> None:
        """Be one user until the end."""
        # Bytes go through it as they are; the stubs know channels of messages only.
        untyped: Any = channel
        stubs = {method: untyped.unary_unary(calls.path(method)) for method in self._methods}
        moments = self._moments()
        for moment in moments:
            await asyncio.sleep(moment - time.monotonic())
            begun = moment if self._group.every else time.monotonic()
            if begun >= self._record.until:
                return
            await self._call(stubs, begun)

    def _moments(self) -> Iterator[float]:
        """Yield when the user means to call; all begin at different times."""
        group = self._group
        if group.every is None:
            yield time.monotonic() + random.uniform(0, group.pause[1])
            while True:
                yield time.monotonic() + random.uniform(*group.pause)
        first = time.monotonic() + random.uniform(0, group.every)
        count = 0
        while True:
            yield first + count * group.every
            count += 1

    async def _call(self, stubs: dict[str, Callable[..., Any]], begun: float) -> None:
        [method] = random.choices(self._methods, self._weights)
        merchant = random.choice(self._group.billed if method == _BILL else self._everybody)
        request = next(self._prepared[method, merchant])
        call = stubs[method](request, metadata=self._metadata[merchant], timeout=_DEADLINE_SECONDS)
        hit = False
        error = ""
        try:
            await call
            if method == _SUMMARY:
                hit = ("patron-cache", "hit") in tuple(await call.trailing_metadata())
        except grpc.aio.AioRpcError as failed:
            error = failed.code().name
        ended = time.monotonic()
        if begun < self._record.since:
            return
        if error:
            self._record.errors[error] += 1
        else:
            self._record.seconds.append(ended - begun)
            self._record.methods[method] += 1
            self._record.hits += hit


def _channel(target: str) -> grpc.aio.Channel:
    # Channels to one target would share a connection otherwise.
    return grpc.aio.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])


async def _connect(channels: list[grpc.aio.Channel]) -> None:
    """Connect all before anything is measured."""
    turns = asyncio.Semaphore(_CONNECTING_AT_ONCE)

    async def connect(channel: grpc.aio.Channel) -> None:
        async with turns:
            await asyncio.wait_for(channel.channel_ready(), _CONNECT_SECONDS)

    await asyncio.gather(*map(connect, channels))


async def _drive(group: Group) -> Experience:
    channels = [_channel(group.target) for _ in range(group.users)]
    try:
        await _connect(channels)
        since = time.monotonic() + group.warm_up
        record = _Record(since=since, until=since + group.seconds)
        users = _Users(group, record)
        began, used = time.monotonic(), time.process_time()
        await asyncio.gather(*map(users.live, channels))
        return record.experience((time.process_time() - used) / (time.monotonic() - began))
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


def main() -> None:
    """Let the users of stdin live."""
    group = msgspec.json.decode(sys.stdin.buffer.read(), type=Group)
    experience = uvloop.run(_drive(group))
    sys.stdout.buffer.write(msgspec.json.encode(experience))


if __name__ == "__main__":
    main()
