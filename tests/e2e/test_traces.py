"""What is told of a call to a collector of traces."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncpg
import grpc.aio
import pygrpc_native.aio
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from structlog.testing import capture_logs

from domain.errors import NotFoundError, Reason, UnavailableError
from patron.bill.v1 import bill_service_pb2 as bill
from server.embedded import EmbeddedValkey
from server.interceptors import default_interceptors
from server.interceptors.traces import Traces
from server.tracing import tracing
from tests.support.bills import bill_of, creation
from tests.support.chain_server import BILL_ID, Served, Uncached, raising, refusal, serve
from tests.support.otlp_sink import OtlpSink, values
from tests.support.service import Service, served
from tests.support.tokens import Issuer

SECRET = "+14155550123 Alice"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = ("traceparent", f"00-{TRACE}-{PARENT}-01")


async def test_a_call_is_traced_down_to_its_statements(service: Service, tmp_path: Path) -> None:
    """A call is a span of its client's trace, and its statements are spans within it.

    No span tells a value, and what the server does for itself is not traced.
    """
    with OtlpSink() as sink:
        async with (
            beside(service, tmp_path, otlp_endpoint=sink.endpoint) as traced,
            traced.client() as client,
        ):
            merchant = str(client.merchant_id)
            request = creation(bill_of(note="Alice", phone="+14155550123"))
            await client.bills.CreateBill(request, metadata=(TRACEPARENT,))
            await client.bills.ListBills(bill.ListBillsRequest())
            assert "ok" in await traced.ask_admin("/healthz")

    call, *statements = sink.of_trace(TRACE)
    assert (call.name, call.kind) == (
        "patron.bill.v1.BillService/CreateBill",
        Span.SPAN_KIND_SERVER,
    )
    assert call.parent_span_id.hex() == PARENT
    assert call.status.code == Status.STATUS_CODE_UNSET
    assert values(call.attributes) == {
        "rpc.system": "grpc",
        "rpc.service": "patron.bill.v1.BillService",
        "rpc.method": "CreateBill",
        "rpc.grpc.status_code": 0,
    }
    assert {span.parent_span_id for span in statements} == {call.span_id}
    assert {"BEGIN", "COMMIT"} < {span.name for span in statements}
    systems = {values(span.attributes)["db.system"] for span in statements}
    assert systems == {"postgresql", "redis"}

    roots = {span.name for span in sink.spans if not span.parent_span_id}
    assert roots == {"patron.bill.v1.BillService/ListBills"}
    sent = b"\n".join(sink.bodies)
    for secret in (merchant, "4155550123", "Alice"):
        assert secret.encode() not in sent
    assert sink.resource["service.name"] == "patron"
    assert sink.resource["service.version"]
    assert sink.resource["service.instance.id"]


def beside(
    service: Service, data_dir: Path, **options: object
) -> AbstractAsyncContextManager[Service]:
    """Run another server on the database of the first."""
    return served(data_dir, service.urls, database_url=service.urls.serving, **options)


@pytest.fixture(params=[grpc.aio.server, pygrpc_native.aio.server], ids=["grpcio", "native"])
def transport(request: pytest.FixtureRequest) -> Callable[..., grpc.aio.Server]:
    """Return what makes a server."""
    made: Callable[..., grpc.aio.Server] = request.param
    return made


@pytest.mark.parametrize(
    "error, code, kind",
    [
        (ValueError(SECRET), grpc.StatusCode.INTERNAL, "builtins.ValueError"),
        (
            UnavailableError(Reason.DEPENDENCY_UNAVAILABLE, SECRET),
            grpc.StatusCode.UNAVAILABLE,
            "domain.errors.UnavailableError",
        ),
        (NotFoundError(Reason.BILL_NOT_FOUND, SECRET), grpc.StatusCode.NOT_FOUND, None),
    ],
    ids=["unexpected", "known", "the client's"],
)
async def test_failures(
    transport: Callable[..., grpc.aio.Server],
    tmp_path: Path,
    error: Exception,
    code: grpc.StatusCode,
    kind: str | None,
) -> None:
    """Faults of the server alone are errors; of the exception only the class is told.

    The log line of the call names the trace.
    """
    issuer = Issuer(tmp_path)
    metadata = (("authorization", f"Bearer {issuer.token()}"), TRACEPARENT)
    with OtlpSink() as sink, capture_logs() as logs:
        async with tracing(sink.endpoint, release="1", instance="a") as tracer:
            chain = default_interceptors(
                registry=CollectorRegistry(),
                verifier=issuer.verifier(),
                capture=lambda *_: None,
                answers=Uncached(),
                traces=Traces(tracer),
                slow_after=0,
            )
            async with serve(transport, chain) as served:
                served.bills.get_bill = raising(error)
                refused = await refused_bill(served, metadata)

    assert refused == code
    [span] = sink.of_trace(TRACE)
    attributes = values(span.attributes)
    assert attributes["rpc.grpc.status_code"] == code.value[0]
    assert attributes.get("error.type") == kind
    assert attributes["patron.reason"]
    assert ("patron.error_id" in attributes) == (code is grpc.StatusCode.INTERNAL)
    assert (span.status.code == Status.STATUS_CODE_ERROR) == (kind is not None)
    assert not span.status.message
    assert SECRET.encode() not in b"\n".join(sink.bodies)
    assert [line["trace_id"] for line in logs if line["event"] == "call"] == [TRACE]


async def refused_bill(served: Served, metadata: tuple[tuple[str, str], ...]) -> grpc.StatusCode:
    """Return the code that GetBill is refused with."""
    call = served.billing.GetBill(bill.GetBillRequest(bill_id=BILL_ID), metadata=metadata)
    return (await refusal(call)).code


async def test_what_databases_are_asked(service: Service, tmp_path: Path) -> None:
    """Spans of PostgreSQL and of Redis show no value, not even in the error of a statement."""
    with OtlpSink() as sink, EmbeddedValkey(tmp_path) as url:
        async with (
            tracing(sink.endpoint, release="1", instance="a") as tracer,
            service.database() as database,
            Redis.from_url(url) as redis,
        ):
            with tracer.start_as_current_span("call", kind=SpanKind.SERVER):
                await redis.set(SECRET, SECRET)
                await database.fetch("SELECT 42, 'it''s Alice', $1::text AS t1", SECRET)
                with pytest.raises(asyncpg.InvalidTextRepresentationError, match="Alice"):
                    await database.execute(f"SELECT '{SECRET}'::uuid")

    asked = {span.name: values(span.attributes) for span in sink.spans}
    assert asked["SET"]["db.statement"] == "SET ? ?"
    statements = {
        values(span.attributes)["db.statement"]: values(span.attributes).get("error.type")
        for span in sink.spans
        if span.name == "SELECT"
    }
    assert statements == {
        "SELECT ?, ?, $1::text AS t1": None,
        "SELECT ?::uuid": "asyncpg.exceptions.InvalidTextRepresentationError",
    }
    assert b"Alice" not in b"\n".join(sink.bodies)


@pytest.mark.parametrize("sampler, spans", [("always_off", 0), ("always_on", 1)])
async def test_variables_of_opentelemetry(
    monkeypatch: pytest.MonkeyPatch, sampler: str, spans: int
) -> None:
    """The standard variables say what is sampled, and name the service if they like."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,deployment.environment.name=x"
    )
    with OtlpSink() as sink:
        async with tracing(sink.endpoint, release="1", instance="a") as tracer:
            with tracer.start_as_current_span("call", kind=SpanKind.SERVER):
                pass

    assert len(sink.spans) == spans
    if spans:
        named = {key: sink.resource[f"service.{key}"] for key in ("name", "version", "instance.id")}
        assert named == {"name": "shop", "version": "1", "instance.id": "a"}
        assert sink.resource["deployment.environment.name"] == "x"


async def test_a_collector_that_hangs(service: Service, tmp_path: Path) -> None:
    """A collector that accepts and never answers keeps neither a call nor the end waiting."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with (
            beside(service, tmp_path, otlp_endpoint=endpoint) as traced,
            traced.client() as client,
        ):
            await client.bills.ListBills(bill.ListBillsRequest(), timeout=5)
        async with tracing(endpoint, release="1", instance="a") as tracer:
            with tracer.start_as_current_span("call", kind=SpanKind.SERVER):
                pass
            begun = time.monotonic()
        # The exporter itself would wait for ten seconds.
        assert time.monotonic() - begun < 8


_UNTRACED = """
import asyncio, sys
from server.main import running
from server.settings import Settings

async def run():
    data_dir, database_url = sys.argv[1:]
    settings = Settings.load(
        {}, data_dir=data_dir, port=0, admin_port=0, database_url=database_url
    )
    async with running(settings):
        pass

asyncio.run(run())
heavy = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.instrumentation")
print(sorted(name for name in sys.modules if name.startswith(heavy)))
"""


def test_costs_nothing_when_it_is_off(service: Service, tmp_path: Path) -> None:
    """Without an endpoint nothing is imported that traces."""
    script = [sys.executable, "-c", _UNTRACED, str(tmp_path), service.urls.serving]
    told = subprocess.run(script, check=True, capture_output=True, text=True, timeout=60)

    assert told.stdout.splitlines()[-1] == "[]"
