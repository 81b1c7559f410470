"""The chain of interceptors on real servers, through real channels."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pygrpc_native.aio
import pytest
import structlog
from google.rpc.error_details_pb2 import RequestInfo, RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection import aio as reflection
from prometheus_client import CollectorRegistry

from domain.errors import (
    AbortedError,
    InvalidRequestError,
    NotFoundError,
    PatronError,
    Reason,
    UnavailableError,
)
from domain.model.caller import Caller
from patron.analytics.v1 import analytics_service_pb2 as analytics
from patron.analytics.v1.analytics_pb2 import Period
from patron.bill.v1 import bill_service_pb2 as bill
from server.call import current_caller
from server.interceptors.errors import Capture
from server.sentry import capture, close_sentry, init_sentry
from tests.support.chain_server import (
    BILL_ID,
    IMPORT_BILLS,
    LIST_BILLS,
    Served,
    answer_bill,
    eventually,
    handled,
    raising,
    refusal,
    register_streams,
    serve,
    whole_chain,
)
from tests.support.sentry_sink import SentrySink
from tests.support.tokens import MERCHANT, Issuer

SECRET = "+14155550123 Alice SELECT * FROM customers"
GET_BILL = bill.GetBillRequest(bill_id=BILL_ID)
GET_BILL_PATH = "/patron.bill.v1.BillService/GetBill"

Transport = Callable[..., grpc.aio.Server]


@pytest.fixture(params=[grpc.aio.server, pygrpc_native.aio.server], ids=["grpcio", "native"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """Return what makes a server."""
    made: Transport = request.param
    return made


@pytest.fixture
def registry() -> CollectorRegistry:
    """Return where the metrics of the test are."""
    return CollectorRegistry()


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """Return who signs tokens."""
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture
def captured() -> list[tuple[BaseException, str, str]]:
    """Return the unexpected exceptions that were reported."""
    return []


@pytest.fixture
async def served(
    transport: Transport,
    registry: CollectorRegistry,
    issuer: Issuer,
    captured: list[tuple[BaseException, str, str]],
) -> AsyncIterator[Served]:
    """Serve with all interceptors, in their order."""

    def keep(error: BaseException, error_id: str, method: str) -> None:
        captured.append((error, error_id, method))

    async with serving(transport, registry, issuer, keep) as running:
        yield running


def serving(
    transport: Transport,
    registry: CollectorRegistry,
    issuer: Issuer,
    capture: Capture,
    *registrations: Callable[[grpc.aio.Server], None],
) -> Any:
    """Return the context of a server with all interceptors."""
    verifier = issuer.verifier(leeway=0)
    chain = whole_chain(registry=registry, verifier=verifier, capture=capture)
    return serve(transport, chain, *registrations)


@pytest.fixture
def bearer(issuer: Issuer) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a caller who may everything."""
    return bearing(issuer.token())


def bearing(token: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a caller with this token."""
    return (("authorization", f"Bearer {token}"),)


Bearer = tuple[tuple[str, str], ...]


async def test_answers(served: Served, bearer: Bearer, registry: CollectorRegistry) -> None:
    """A valid call is answered and counted once as OK, on every service."""
    answer = await served.billing.GetBill(GET_BILL, metadata=bearer)
    period = Period(from_day="2026-01-01", to_day="2026-01-31")
    summary = await served.reports.GetSummary(
        analytics.GetSummaryRequest(period=period), metadata=bearer
    )

    assert answer.bill.id == BILL_ID
    assert summary.current.bills == 7
    await eventually(lambda: handled(registry, "GetBill") == {"OK": 1})
    labels = {
        "grpc_type": "unary",
        "grpc_service": "patron.bill.v1.BillService",
        "grpc_method": "GetBill",
    }
    assert registry.get_sample_value("grpc_server_started_total", labels) == 1
    treated = {**labels, "feature": "customer-analytics", "arm": "treatment"}
    assert registry.get_sample_value("grpc_server_handling_seconds_count", treated) == 1


async def test_tells_the_caller(served: Served, bearer: Bearer) -> None:
    """A handler finds the merchant of the token and the deadline of the client."""
    callers: list[Caller] = []

    async def behaviour(request: bill.GetBillRequest) -> bill.GetBillResponse:
        callers.append(current_caller())
        return await answer_bill(request)

    served.bills.get_bill = behaviour
    await served.billing.GetBill(GET_BILL, metadata=bearer)
    await served.billing.GetBill(GET_BILL, metadata=bearer, timeout=5)

    assert [caller.merchant_id for caller in callers] == [MERCHANT, MERCHANT]
    assert callers[0].remaining() is None
    remaining = callers[1].remaining()
    assert remaining is not None
    assert 4 < remaining <= 5.1


@pytest.mark.parametrize(
    "error, code",
    [
        (
            NotFoundError(Reason.BILL_NOT_FOUND, "there is no such bill"),
            grpc.StatusCode.NOT_FOUND,
        ),
        (
            InvalidRequestError(
                Reason.TOTAL_MISMATCH, "the total differs", metadata={"total_minor": "1"}
            ),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ],
    ids=["not-found", "with-metadata"],
)
async def test_error_details(
    served: Served, bearer: Bearer, error: PatronError, code: grpc.StatusCode
) -> None:
    """An error becomes a google.rpc.Status with its code, message, reason and metadata."""
    served.bills.get_bill = raising(error)
    refused = await refusal(served.billing.GetBill(GET_BILL, metadata=bearer))

    assert refused.code == code
    assert refused.message == error.message
    assert refused.reason == error.reason
    assert refused.info.domain == "patron.dev"
    assert dict(refused.info.metadata) == error.metadata


@pytest.mark.parametrize(
    "error, seconds",
    [
        (UnavailableError(Reason.DEPENDENCY_UNAVAILABLE, "no database", retry_after=2.5), 2.5),
        (AbortedError(Reason.WRITE_CONTENDED, "busy", retry_after=0.1), 0.1),
        (AbortedError(Reason.ETAG_STALE, "changed"), 0),
    ],
    ids=["unavailable", "contended", "stale"],
)
async def test_retry_info(
    served: Served, bearer: Bearer, error: PatronError, seconds: float
) -> None:
    """An error that passes by itself says when to try again; another one doesn't."""
    served.bills.get_bill = raising(error)
    refused = await refusal(served.billing.GetBill(GET_BILL, metadata=bearer))

    delay = refused.detail(RetryInfo).retry_delay
    assert delay.ToNanoseconds() == pytest.approx(seconds * 1e9)


@pytest.mark.fault
async def test_unexpected_error_leaks_nothing(
    transport: Transport, registry: CollectorRegistry, issuer: Issuer, bearer: Bearer
) -> None:
    """An unexpected exception is INTERNAL with an id that Sentry and the log carry, and no text."""
    with SentrySink() as sink, structlog.testing.capture_logs() as logs:
        init_sentry(sink.dsn, environment="test", release="patron@0")
        try:
            async with serving(transport, registry, issuer, capture) as served:

                async def fail(_request: object) -> bill.GetBillResponse:
                    phone = SECRET
                    try:
                        int(phone)
                    except ValueError as error:
                        raise RuntimeError(f"query failed: {phone}") from error
                    return bill.GetBillResponse()

                served.bills.get_bill = fail
                refused = await refusal(served.billing.GetBill(GET_BILL, metadata=bearer))
        finally:
            close_sentry()

    error_id = refused.detail(RequestInfo).request_id
    assert (refused.code, refused.message, refused.reason) == (
        grpc.StatusCode.INTERNAL,
        "internal error",
        "UNEXPECTED",
    )
    assert len(error_id) == 32
    [event] = sink.events
    assert event["tags"] == {"error_id": error_id, "method": GET_BILL_PATH}
    assert [value["type"] for value in event["exception"]["values"]] == [
        "ValueError",
        "RuntimeError",
    ]
    [report] = [line for line in logs if line["event"] == "unexpected error"]
    [line] = [line for line in logs if line["event"] == "call"]
    assert report["error_id"] == line["error_id"] == error_id
    assert (line["code"], line["merchant_id"]) == ("INTERNAL", str(MERCHANT))
    for told in (refused.raw, sink.text, repr(logs)):
        assert not [secret for secret in SECRET.split(maxsplit=2) if secret in told]


@pytest.mark.parametrize("cause", ["shared-task", "timeout"])
async def test_inner_failures(
    served: Served,
    bearer: Bearer,
    captured: list[tuple[BaseException, str, str]],
    cause: str,
) -> None:
    """A cancelled dependency is UNAVAILABLE at once; a timeout before the deadline a bug."""

    async def behaviour(_request: object) -> bill.GetBillResponse:
        if cause == "timeout":
            raise TimeoutError
        shared = asyncio.get_running_loop().create_future()
        shared.cancel()
        await shared
        return bill.GetBillResponse()

    served.bills.get_bill = behaviour
    refused = await refusal(served.billing.GetBill(GET_BILL, metadata=bearer, timeout=5))

    if cause == "timeout":
        assert refused.code == grpc.StatusCode.INTERNAL
        assert [type(error) for error, *_ in captured] == [TimeoutError]
    else:
        assert refused.code == grpc.StatusCode.UNAVAILABLE
        assert refused.reason == "SERVER_STOPPING"
        assert refused.detail(RetryInfo).retry_delay.seconds == 1


async def test_inner_failure_of_a_stream(
    served: Served, bearer: Bearer, captured: list[tuple[BaseException, str, str]]
) -> None:
    """A timeout in a stream that isn't the token's is a bug like any other."""
    served.bills.import_bills = raising(TimeoutError())
    refused = await refusal(served.billing.ImportBills(metadata=bearer))

    assert (refused.code, refused.reason) == (grpc.StatusCode.INTERNAL, "UNEXPECTED")
    assert len(captured) == 1


async def test_deadline(served: Served, bearer: Bearer, registry: CollectorRegistry) -> None:
    """A call cut by the client's deadline counts as DEADLINE_EXCEEDED, not as CANCELLED or OK."""
    served.bills.get_bill = sleeping
    for timeout in (0.1, 0.151):
        refused = await refusal(served.billing.GetBill(GET_BILL, metadata=bearer, timeout=timeout))
        assert refused.code == grpc.StatusCode.DEADLINE_EXCEEDED

    await eventually(lambda: handled(registry, "GetBill").get("DEADLINE_EXCEEDED") == 2)
    assert sum(handled(registry, "GetBill").values()) == 2


async def test_work_that_gives_up_at_the_deadline(served: Served, bearer: Bearer) -> None:
    """A timeout of the work at the client's deadline is DEADLINE_EXCEEDED, and no bug."""
    reached: list[str] = []

    async def behaviour(_request: object) -> bill.GetBillResponse:
        try:
            async with asyncio.timeout(current_caller().remaining()):
                await asyncio.sleep(10)
        finally:
            reached.append("end")
        return bill.GetBillResponse()

    served.bills.get_bill = behaviour
    refused = await refusal(served.billing.GetBill(GET_BILL, metadata=bearer, timeout=0.5))

    assert refused.code == grpc.StatusCode.DEADLINE_EXCEEDED
    await eventually(lambda: reached)


async def test_cancellation(served: Served, bearer: Bearer, registry: CollectorRegistry) -> None:
    """A call that its client leaves counts once as CANCELLED."""
    served.bills.get_bill = sleeping
    call = served.billing.GetBill(GET_BILL, metadata=bearer, timeout=30)
    await asyncio.sleep(0.1)
    call.cancel()

    await eventually(lambda: handled(registry, "GetBill").get("CANCELLED") == 1)
    assert sum(handled(registry, "GetBill").values()) == 1


async def test_stop_ends_calls(served: Served, bearer: Bearer) -> None:
    """A client whose call is cut by the server's stop is told UNAVAILABLE."""
    served.bills.get_bill = sleeping
    call = asyncio.create_task(refusal(served.billing.GetBill(GET_BILL, metadata=bearer)))
    await asyncio.sleep(0.1)
    await served.server.stop(grace=0.05)

    assert (await call).code == grpc.StatusCode.UNAVAILABLE


async def sleeping(_request: object) -> bill.GetBillResponse:
    """Take longer than any test."""
    await asyncio.sleep(30)
    return bill.GetBillResponse()


async def test_garbage_bytes(served: Served, bearer: Bearer) -> None:
    """Bytes that are no message of the type are INVALID_ARGUMENT, REQUEST_MALFORMED."""
    refused = await refusal(
        served.channel.unary_unary(GET_BILL_PATH)(b"\xff\xff\xff", metadata=bearer)
    )

    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "REQUEST_MALFORMED"


async def test_message_too_large(served: Served, bearer: Bearer) -> None:
    """A message of 5 MB is refused by the transport with RESOURCE_EXHAUSTED."""
    refused = await refusal(
        served.channel.unary_unary(GET_BILL_PATH)(b"x" * 5_000_000, metadata=bearer)
    )

    assert refused.code == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_invalid_fields(served: Served, bearer: Bearer) -> None:
    """Every field that breaks its rule is named with its path; the message names the first."""
    request = bill.GetBillRequest(bill_id="not a UUID")
    refused = await refusal(served.billing.GetBill(request, metadata=bearer))

    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "FIELD_INVALID"
    assert refused.fields == {"bill_id": "must be a valid UUID"}
    assert refused.message == "bill_id: must be a valid UUID"


async def test_many_invalid_fields(served: Served, bearer: Bearer) -> None:
    """A refusal of thousands of fields still reaches the client, with the first of them."""

    async def batches() -> AsyncIterator[bill.ImportBillsRequest]:
        batch = bill.ImportBillsRequest()
        for _ in range(500):
            batch.bills.add(id=str(uuid4()), currency="usd").lines.add()
        yield batch

    refused = await refusal(served.billing.ImportBills(batches(), metadata=bearer))

    assert refused.reason == "FIELD_INVALID"
    assert len(refused.fields) > 10
    assert "bills[0].currency" in refused.fields


@pytest.mark.parametrize("bad", ["invalid", "garbage"])
async def test_bad_batch(served: Served, bearer: Bearer, bad: str) -> None:
    """A bad message of a request stream ends the call, whatever came before it."""

    async def batches() -> AsyncIterator[bytes]:
        yield import_request().SerializeToString()
        yield bill.ImportBillsRequest().SerializeToString() if bad == "invalid" else b"\xff"

    refused = await refusal(served.channel.stream_unary(IMPORT_BILLS)(batches(), metadata=bearer))

    assert refused.reason == ("FIELD_INVALID" if bad == "invalid" else "REQUEST_MALFORMED")


def import_request() -> bill.ImportBillsRequest:
    """Return a valid batch of one bill."""
    request = bill.ImportBillsRequest()
    draft = request.bills.add(id=str(uuid4()), currency="USD")
    draft.lines.add(description="CD", quantity_milli=1000)
    return request


async def test_request_stream(served: Served, bearer: Bearer, registry: CollectorRegistry) -> None:
    """A request stream is answered once, and counted once when its client leaves it."""
    answer = await served.billing.ImportBills((import_request() for _ in range(3)), metadata=bearer)
    assert answer.created_bills == 3

    call = served.billing.ImportBills(metadata=bearer)
    await call.write(import_request())
    await asyncio.sleep(0.05)
    call.cancel()

    await eventually(lambda: handled(registry, "ImportBills") == {"OK": 1, "CANCELLED": 1})


async def test_token_expires_in_mid_stream(
    served: Served, issuer: Issuer, registry: CollectorRegistry
) -> None:
    """A stream ends with TOKEN_EXPIRED when its token does, whether messages come or not."""
    call = served.billing.ImportBills(metadata=bearing(issuer.token(lifetime=2)))
    await call.write(import_request())
    begun = time.monotonic()
    refused = await refusal(call)

    assert refused.code == grpc.StatusCode.UNAUTHENTICATED
    assert refused.reason == "TOKEN_EXPIRED"
    assert time.monotonic() - begun < 2.5
    await eventually(lambda: handled(registry, "ImportBills") == {"UNAUTHENTICATED": 1})


async def test_answer_streams(
    transport: Transport, registry: CollectorRegistry, issuer: Issuer, bearer: Bearer
) -> None:
    """Answer streams deliver every message and are counted once, completed, left or refused."""
    async with serving(transport, registry, issuer, ignore, register_streams) as served:
        listing = served.channel.unary_stream(LIST_BILLS)
        complete = bill.ListBillsRequest().SerializeToString()
        pages = [
            bill.ListBillsResponse.FromString(page).next_page_token
            async for page in listing(complete, metadata=bearer)
        ]
        assert pages == ["0", "1", "2"]

        left = listing(bill.ListBillsRequest(page_size=1).SerializeToString(), metadata=bearer)
        await left.read()
        left.cancel()
        late = listing(
            bill.ListBillsRequest(page_size=1).SerializeToString(), metadata=bearer, timeout=0.2
        )
        with pytest.raises(grpc.aio.AioRpcError):
            [page async for page in late]
        bad = bill.ListBillsRequest(page_size=-1).SerializeToString()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            [page async for page in listing(bad, metadata=bearer)]
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        await eventually(
            lambda: (
                handled(registry, "ListBills")
                == {"OK": 1, "CANCELLED": 1, "DEADLINE_EXCEEDED": 1, "INVALID_ARGUMENT": 1}
            )
        )

        both = served.channel.stream_stream(IMPORT_BILLS)(metadata=bearer)
        await both.write(import_request().SerializeToString())
        assert bill.ImportBillsResponse.FromString(await both.read()).created_bills == 1
        await both.done_writing()
        assert await both.read() is grpc.aio.EOF
        await eventually(lambda: handled(registry, "ImportBills") == {"OK": 1})


def ignore(_error: BaseException, _error_id: str, _method: str) -> None:
    """Report nothing."""


TOKENS: dict[str, tuple[Callable[[Issuer], str], str]] = {
    "expired": (lambda issuer: issuer.token(lifetime=-60), "TOKEN_EXPIRED"),
    "other-audience": (lambda issuer: issuer.sign(issuer.claims(aud="other")), "TOKEN_INVALID"),
    "alg-none": (lambda issuer: issuer.unsigned(), "TOKEN_INVALID"),
    "hs256-with-public-key": (lambda issuer: issuer.signed_with_public_key(), "TOKEN_INVALID"),
    "not-a-token": (lambda _: "nonsense", "TOKEN_INVALID"),
}


@pytest.mark.parametrize("kind", TOKENS)
async def test_bad_tokens(served: Served, issuer: Issuer, kind: str) -> None:
    """A token that isn't valid is UNAUTHENTICATED, with the reason."""
    make, reason = TOKENS[kind]
    refused = await refusal(served.billing.GetBill(GET_BILL, metadata=bearing(make(issuer))))

    assert refused.code == grpc.StatusCode.UNAUTHENTICATED
    assert refused.reason == reason


@pytest.mark.parametrize(
    "metadata", [(), (("authorization", "Basic abc"),), (("authorization", "Bearer"),)]
)
async def test_no_token(served: Served, metadata: Bearer) -> None:
    """A call without a bearer token is UNAUTHENTICATED, TOKEN_MISSING."""
    refused = await refusal(served.billing.GetBill(GET_BILL, metadata=metadata))

    assert refused.code == grpc.StatusCode.UNAUTHENTICATED
    assert refused.reason == "TOKEN_MISSING"


async def test_scope_missing(served: Served, issuer: Issuer) -> None:
    """A token without the method's scope is PERMISSION_DENIED and told which one it lacks."""
    token = issuer.token(scopes=frozenset({"bills.write"}))
    refused = await refusal(served.billing.GetBill(GET_BILL, metadata=bearing(token)))

    assert refused.code == grpc.StatusCode.PERMISSION_DENIED
    assert refused.reason == "SCOPE_MISSING"
    assert dict(refused.info.metadata) == {"scope": "bills.read"}


async def test_authentication_comes_before_parsing(served: Served) -> None:
    """Who is not authenticated learns nothing about the request that was sent."""
    refused = await refusal(served.channel.unary_unary(GET_BILL_PATH)(b"\xff"))

    assert refused.reason == "TOKEN_MISSING"


async def test_standard_services(
    transport: Transport, registry: CollectorRegistry, issuer: Issuer
) -> None:
    """Health and reflection need no token and are counted like every method."""
    servicer = reflection.ReflectionServicer(["patron.bill.v1.BillService"])

    def register(server: grpc.aio.Server) -> None:
        add: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
        add(servicer, server)

    async with serving(transport, registry, issuer, ignore, register) as served:
        stub: Any = health_pb2_grpc.HealthStub(served.channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        unknown = await refusal(stub.Check(health_pb2.HealthCheckRequest(service="none")))
        assert unknown.code == grpc.StatusCode.NOT_FOUND
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()

        mirror: Any = reflection_pb2_grpc.ServerReflectionStub(served.channel)
        asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
        [listed] = [answer async for answer in mirror.ServerReflectionInfo(iter(asked))]
        services = [service.name for service in listed.list_services_response.service]
        assert services == ["patron.bill.v1.BillService"]

        await eventually(lambda: handled(registry, "Check") == {"OK": 1, "NOT_FOUND": 1})
        await eventually(lambda: handled(registry, "Watch") == {"CANCELLED": 1})
        await eventually(lambda: handled(registry, "ServerReflectionInfo") == {"OK": 1})


async def test_unknown_methods(served: Served, bearer: Bearer, registry: CollectorRegistry) -> None:
    """A method that isn't in the contract is grpc's UNIMPLEMENTED, one not served our own."""
    unknown = await refusal(
        served.channel.unary_unary("/patron.bill.v1.BillService/Nothing")(b"", metadata=bearer)
    )
    unserved = await refusal(served.billing.ListBills(bill.ListBillsRequest(), metadata=bearer))

    assert unknown.code == unserved.code == grpc.StatusCode.UNIMPLEMENTED
    assert unknown.reason == ""
    assert unserved.reason == "METHOD_UNKNOWN"
    assert handled(registry, "Nothing") == {}
