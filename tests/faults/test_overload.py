"""A worker that has too much to do, or waits for what does not come, still answers."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import grpc
import grpc.aio
import pygrpc_native.aio
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from domain.model.caller import Identity
from patron.analytics.v1.analytics_pb2 import Period
from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest
from patron.bill.v1 import bill_service_pb2 as bill
from server.auth.tokens import TokenVerifier
from server.interceptors import Overload
from tests.support.bills import create_bill
from tests.support.chain_server import (
    BILL_ID,
    IMPORT_BILLS,
    Served,
    answer_bill,
    eventually,
    raising,
    refusal,
    serve,
    whole_chain,
)
from tests.support.service import Client, Service, running_service
from tests.support.tokens import ISSUER, Issuer
from tests.support.waiting import until

GET_BILL = bill.GetBillRequest(bill_id=BILL_ID)
SUMMARY = GetSummaryRequest(period=Period(from_day="2026-01-01", to_day="2026-01-31"))


class CountingVerifier(TokenVerifier):
    """Counts the tokens that it verifies."""

    verified = 0

    def verify(self, token: str) -> Identity:
        self.verified += 1
        return super().verify(token)


class Guarded:
    """A worker that takes five calls and one stream."""

    def __init__(self, issuer: Issuer, transport: Callable[..., grpc.aio.Server]) -> None:
        self._transport = transport
        self.overload = Overload(max_in_flight=5, max_streams=1)
        keys = issuer.verifier()._keys
        self.verifier = CountingVerifier(keys, issuer=ISSUER, audience="patron", leeway=0)
        self.bearer = (("authorization", f"Bearer {issuer.token()}"),)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Served]:
        chain = whole_chain(
            registry=CollectorRegistry(), verifier=self.verifier, overload=self.overload
        )
        async with serve(self._transport, chain) as served:
            yield served


@pytest.fixture(params=[grpc.aio.server, pygrpc_native.aio.server], ids=["grpcio", "native"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Guarded:
    """Return the worker, on either transport."""
    return Guarded(Issuer(tmp_path), request.param)


async def test_full_worker(guarded: Guarded) -> None:
    """A call over the bound is UNAVAILABLE at once with RetryInfo; health is not refused."""
    let_go = asyncio.Event()

    async def waiting(request: bill.GetBillRequest) -> Message:
        await let_go.wait()
        return await answer_bill(request)

    async with guarded.serving() as served:
        served.bills.get_bill = waiting
        stream = served.billing.ImportBills(metadata=guarded.bearer)
        await eventually(lambda: guarded.overload.streams == 1)
        calls = [
            asyncio.ensure_future(served.billing.GetBill(GET_BILL, metadata=guarded.bearer))
            for _ in range(4)
        ]
        await eventually(lambda: guarded.overload.in_flight == 4)
        for call in (
            served.billing.GetBill(GET_BILL, metadata=guarded.bearer),
            served.reports.GetSummary(SUMMARY, metadata=guarded.bearer),
            served.channel.stream_unary(IMPORT_BILLS)(iter(()), metadata=guarded.bearer),
            # Before it costs anything: the token is not looked at.
            served.billing.GetBill(GET_BILL),
        ):
            refused = await refusal(call)
            assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
            assert refused.detail(RetryInfo).retry_delay.ToNanoseconds() > 0
        stub: Any = health_pb2_grpc.HealthStub(served.channel)
        await stub.Check(health_pb2.HealthCheckRequest())

        let_go.set()
        assert [answer.bill.id for answer in await asyncio.gather(*calls)] == [BILL_ID] * 4
        await stream.done_writing()
        assert (await stream).created_bills == 0
        await eventually(lambda: guarded.overload.in_flight + guarded.overload.streams == 0)
        await served.billing.GetBill(GET_BILL, metadata=guarded.bearer)


@pytest.mark.parametrize("left", ["1n", "500u"])
async def test_deadline_over_or_tiny(guarded: Guarded, left: str) -> None:
    """A call that cannot be answered in time is refused before the token and the handler."""
    reached: list[object] = []

    async def reach(request: bill.GetBillRequest) -> Message:
        reached.append(request)
        return await answer_bill(request)

    async with guarded.serving() as served:
        served.bills.get_bill = reach
        # As the header, for a client of its own would end the call before it is sent.
        late = (*guarded.bearer, ("grpc-timeout", left))
        for call in (
            served.billing.GetBill(GET_BILL, metadata=late),
            served.channel.stream_unary(IMPORT_BILLS)(iter(()), metadata=late),
        ):
            assert (await refusal(call)).code == grpc.StatusCode.DEADLINE_EXCEEDED
        assert not reached
        assert guarded.verifier.verified == 0
        await served.billing.GetBill(GET_BILL, metadata=guarded.bearer)
        assert len(reached) == 1


async def test_a_leaked_cancellation(guarded: Guarded) -> None:
    """A CancelledError that the client did not cause ends the call at once, and frees its place."""
    async with guarded.serving() as served:
        served.bills.get_bill = served.bills.import_bills = raising(asyncio.CancelledError())
        for call in (
            served.billing.GetBill(GET_BILL, metadata=guarded.bearer, timeout=30),
            served.billing.ImportBills(iter(()), metadata=guarded.bearer, timeout=30),
        ):
            refused = await refusal(call)
            assert refused.code == grpc.StatusCode.UNAVAILABLE
            assert refused.reason == "SERVER_STOPPING"
            assert refused.detail(RetryInfo).retry_delay.seconds == 1
        await eventually(lambda: guarded.overload.in_flight + guarded.overload.streams == 0)


@pytest.mark.slow
async def test_pool_exhausted(tmp_path: Path) -> None:
    """Who waits for a connection is UNAVAILABLE in bounded time; health and metrics answer."""
    async with (
        running_service(tmp_path, database_pool_size=1, lock_timeout_seconds=30) as service,
        service.client() as holder,
        service.client() as other,
    ):
        await create_bill(other, 100, paid_minor=100)
        async with _only_connection_held(service, holder) as held:
            begun = time.monotonic()
            waiting = asyncio.ensure_future(refusal(other.bills.ListBills(bill.ListBillsRequest())))
            await _is_well(service)
            assert not waiting.done()
            refused = await waiting
            assert time.monotonic() - begun < 10
            assert refused.code == grpc.StatusCode.UNAVAILABLE
            assert refused.reason == "DEPENDENCY_UNAVAILABLE"
            assert refused.detail(RetryInfo).retry_delay.ToNanoseconds() > 0
            assert not held.done()
        assert (await held).number == 1
        assert (await create_bill(other, 100, paid_minor=100)).number == 2


@pytest.mark.slow
async def test_writes_whose_clients_leave(tmp_path: Path) -> None:
    """A thousand writes given up at once do not pile up; the worker serves when they are done."""
    bound = 20
    async with (
        running_service(tmp_path, max_in_flight=bound, lock_timeout_seconds=30) as service,
        service.client() as holder,
        service.client() as other,
    ):
        async with _only_connection_held(service, holder) as held:
            refused = 0
            for _ in range(50):
                calls = [create_bill(holder, 100, paid_minor=100) for _ in range(20)]
                ended = await asyncio.gather(
                    *(asyncio.wait_for(call, 0.02) for call in calls), return_exceptions=True
                )
                refused += sum(isinstance(each, grpc.aio.AioRpcError) for each in ended)
            shown = re.search(
                r"^patron_background_tasks (.+)$", await service.ask_admin("/metrics"), re.MULTILINE
            )
            assert shown is not None
            assert 0 < float(shown[1]) < bound
            assert refused > 500
        await held

        async def is_served() -> bool:
            try:
                await create_bill(other, 100, paid_minor=100)
            except grpc.aio.AioRpcError:
                return False
            return True

        await until(is_served)


@asynccontextmanager
async def _only_connection_held(
    service: Service, client: Client
) -> AsyncIterator[asyncio.Future[Any]]:
    """Have the service's only connection wait for a lock; lends the call that does."""
    async with service.database() as database, database.transaction():
        lock = "SELECT FROM merchant WHERE merchant_id = $1 FOR UPDATE"
        await database.execute(lock, client.merchant_id)
        held = asyncio.ensure_future(create_bill(client, 100, paid_minor=100))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(5):
            while not await database.fetchval(waiting):  # noqa: ASYNC110 - of a database
                await asyncio.sleep(0.01)
        yield held


async def _is_well(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    # It says that the database does not answer, and says it in time.
    with pytest.raises(HTTPError) as told:
        await service.ask_admin("/healthz")
    assert told.value.code == 503
    assert json.load(told.value)["parts"] == {"database": "failing", "redis": "ok"}
    told.value.close()
    assert "patron_in_flight 2.0" in await service.ask_admin("/metrics")
