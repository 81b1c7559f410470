"""Real servers on loopback with the chain of interceptors and services that do as they are told."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2_grpc
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry

from domain.model.merchant import Revision
from domain.ports import Features
from flags.deciding import SHIPPED_FLAGS
from flags.deciding.features import features_in
from patron.analytics.v1 import analytics_service_pb2 as analytics
from patron.analytics.v1 import analytics_service_pb2_grpc as analytics_grpc
from patron.bill.v1 import bill_service_pb2 as bill
from patron.bill.v1 import bill_service_pb2_grpc as bill_grpc
from server import answers
from server.auth.tokens import TokenVerifier
from server.call import Reflection, set_reflection
from server.interceptors import Chain, Overload, default_interceptors
from server.interceptors.errors import Capture, Note
from server.interceptors.interceptor import Interceptor
from server.interceptors.rate_limit import RateLimiter

Behaviour: TypeAlias = Callable[[Any], Awaitable[Message]]

BILL_ID = "0b0e2f0e-3c1c-4a5e-9a57-4b8f2c7ed4c7"
LIST_BILLS = "/patron.bill.v1.BillService/ListBills"
IMPORT_BILLS = "/patron.bill.v1.BillService/ImportBills"


class Bills(bill_grpc.BillServiceServicer):
    """Answers GetBill and ImportBills by functions that a test may replace."""

    def __init__(self) -> None:
        self.get_bill: Behaviour = answer_bill
        self.import_bills: Behaviour = count_bills

    async def GetBill(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self.get_bill(request)

    async def ImportBills(self, requests: Any, context: Any) -> Any:  # noqa: N802
        return await self.import_bills(requests)


class Uncached:
    """Has every answer computed anew; the port is `server.answers.Answers`."""

    def find(self, key: answers.Key, seen: Revision | None) -> None:
        return None

    async def get(self, question: answers.Question, seen: Revision | None) -> answers.Served:
        computed = await question.compute()
        return answers.Served(computed.body, (("patron-cache", "miss"),))


def whole_chain(
    *,
    registry: CollectorRegistry,
    verifier: TokenVerifier,
    capture: Capture = lambda *_: None,
    note: Note = lambda _: None,
    overload: Overload | None = None,
    limiters: Mapping[str, RateLimiter] = MappingProxyType({}),
    features: Features | None = None,
    watched: str = "customer-analytics",
    traces: Interceptor | None = None,
    slow_after: float = 1.0,
) -> tuple[Interceptor, ...]:
    """Return all of Patron's interceptors, with nothing cached, no limit, and every feature on.

    What is given holds instead.
    """
    return default_interceptors(
        registry=registry,
        verifier=verifier,
        capture=capture,
        note=note,
        overload=overload or Overload(max_in_flight=10_000, max_streams=1_000),
        limiters=limiters,
        features=features or features_in(SHIPPED_FLAGS),
        watched=watched,
        answers=Uncached(),
        slow_after=slow_after,
        traces=traces,
    )


class Analytics(analytics_grpc.AnalyticsServiceServicer):
    async def GetSummary(self, request: Any, context: Any) -> Any:  # noqa: N802
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        set_reflection(Reflection(Revision("epoch", 1), tomorrow))
        answer = analytics.GetSummaryResponse()
        answer.current.bills = 7
        return answer


async def answer_bill(request: bill.GetBillRequest) -> bill.GetBillResponse:
    """Answer a bill of the asked id."""
    answer = bill.GetBillResponse()
    answer.bill.id = request.bill_id
    return answer


async def count_bills(
    requests: AsyncIterator[bill.ImportBillsRequest],
) -> bill.ImportBillsResponse:
    """Answer the number of bills that came."""
    created = 0
    async for request in requests:
        created += len(request.bills)
    return bill.ImportBillsResponse(created_bills=created)


def raising(error: BaseException) -> Behaviour:
    """Return a behaviour that raises the error."""

    async def behaviour(_request: object) -> Message:
        raise error

    return behaviour


class Served:
    """A running server and a channel to it."""

    def __init__(self, server: grpc.aio.Server, channel: grpc.aio.Channel) -> None:
        self.server = server
        # Bytes go through it as they are; the stubs know channels of messages only.
        self.channel: Any = channel
        self.bills = Bills()  # type: ignore[abstract]  # a method is left out on purpose
        self.billing = bill_grpc.BillServiceStub(channel)
        self.reports = analytics_grpc.AnalyticsServiceStub(channel)


@asynccontextmanager
async def serve(
    transport: Callable[..., grpc.aio.Server],
    interceptors: Sequence[Interceptor],
    *registrations: Callable[[grpc.aio.Server], None],
) -> AsyncIterator[Served]:
    """Serve the test services, and what else is registered, on a free port."""
    server = transport()
    registration = Chain(interceptors).around(server)
    port = server.add_insecure_port("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        served = Served(server, channel)
        bill_grpc.add_BillServiceServicer_to_server(served.bills, registration)
        reports = Analytics()  # type: ignore[abstract]
        analytics_grpc.add_AnalyticsServiceServicer_to_server(reports, registration)
        health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), registration)
        for register in registrations:
            register(registration)
        await server.start()
        try:
            yield served
        finally:
            await server.stop(grace=0)


def register_streams(server: grpc.aio.Server) -> None:
    """Serve two methods of the contract as if they streamed answers; in it none does yet."""

    async def list_bills(request: bill.ListBillsRequest, _: object) -> AsyncIterator[Message]:
        for number in range(3):
            yield bill.ListBillsResponse(next_page_token=f"{number}")
        if request.page_size:
            await asyncio.sleep(10)

    async def import_bills(
        requests: AsyncIterator[bill.ImportBillsRequest], _: object
    ) -> AsyncIterator[Message]:
        async for request in requests:
            yield bill.ImportBillsResponse(created_bills=len(request.bills))

    handlers: dict[str, Any] = {
        "ListBills": grpc.unary_stream_rpc_method_handler(
            list_bills,
            request_deserializer=bill.ListBillsRequest.FromString,
            response_serializer=bill.ListBillsResponse.SerializeToString,
        ),
        "ImportBills": grpc.stream_stream_rpc_method_handler(
            import_bills,
            request_deserializer=bill.ImportBillsRequest.FromString,
            response_serializer=bill.ImportBillsResponse.SerializeToString,
        ),
    }
    server.add_registered_method_handlers("patron.bill.v1.BillService", handlers)


class Refusal:
    """What a client is told about a call that failed."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code()
        self.message = error.details()
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it has all that is asked
        self.status = status or status_pb2.Status()
        self.raw = repr(error)

    def detail(self, kind: type[Message]) -> Any:
        """Return the detail of this kind; an empty one when there is none."""
        detail = kind()
        for packed in self.status.details:
            if packed.Unpack(detail):
                break
        return detail

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        info: error_details_pb2.ErrorInfo = self.detail(error_details_pb2.ErrorInfo)
        return info

    @property
    def reason(self) -> str:
        return self.info.reason

    @property
    def fields(self) -> dict[str, str]:
        request = self.detail(error_details_pb2.BadRequest)
        return {violation.field: violation.description for violation in request.field_violations}


async def refusal(call: Awaitable[object]) -> Refusal:
    """Return how the call fails."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return Refusal(error)
    raise AssertionError("the call did not fail")


def handled(registry: CollectorRegistry, method: str) -> dict[str, int]:
    """Return how many calls of the method ended, by code."""
    codes = Counter[str]()
    for metric in registry.collect():
        for sample in metric.samples:
            if sample.name == "grpc_server_handled_total" and (
                sample.labels["grpc_method"] == method
            ):
                codes[sample.labels["grpc_code"]] += int(sample.value)
    return dict(+codes)


async def eventually(condition: Callable[[], object], timeout: float = 3.0) -> None:  # noqa: ASYNC109
    """Wait until the condition holds: a client knows of a call's end before the server is done."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it never became so"
        await asyncio.sleep(0.005)
