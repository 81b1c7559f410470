"""The health that is asked for by gRPC, on both servers."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pygrpc_native.aio
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub, add_HealthServicer_to_server

from server.grpc_health import ServingHealth

SERVICE = "patron.bill.v1.BillService"
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING

Transport = Callable[..., grpc.aio.Server]


@pytest.fixture(params=[grpc.aio.server, pygrpc_native.aio.server], ids=["grpcio", "native"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """Return what makes a server."""
    made: Transport = request.param
    return made


@asynccontextmanager
async def asked(health: ServingHealth, server: grpc.aio.Server) -> AsyncIterator[Any]:
    """Serve health, and lend a stub that asks for it."""
    add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await health.tell(serving=False)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield HealthStub(channel)
        finally:
            await server.stop(0)


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_tells_whether_it_serves(transport: Transport, service: str) -> None:
    """The server and its services are NOT_SERVING, SERVING, and NOT_SERVING; others are unknown."""
    health, request = ServingHealth([SERVICE]), HealthCheckRequest(service=service)
    async with asked(health, transport()) as stub:
        for serving in (False, True, False):
            await health.tell(serving=serving)
            answer = await stub.Check(request)
            assert answer.status == (SERVING if serving else NOT_SERVING)
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await stub.Check(HealthCheckRequest(service="other"))
        assert unknown.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_watch_ends_with_the_server(transport: Transport) -> None:
    """Watches are told of each change, the last time that it leaves, and don't keep it waiting."""
    health = ServingHealth([SERVICE])
    server = transport()
    async with asked(health, server) as stub:
        watch = stub.Watch(HealthCheckRequest(service=SERVICE))
        other = stub.Watch(HealthCheckRequest(service="other"))
        assert (await watch.read()).status == NOT_SERVING
        assert (await other.read()).status == HealthCheckResponse.SERVICE_UNKNOWN
        await health.tell(serving=True)
        assert (await watch.read()).status == SERVING
        await health.close()
        assert (await watch.read()).status == NOT_SERVING
        for call in (watch, other):
            assert await call.read() is grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK
        # Were it to wait for them, the test would end by its time-out.
        await server.stop(1000)
