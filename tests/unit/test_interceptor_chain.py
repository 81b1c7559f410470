"""The order of the chain, and what it costs nothing to do."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from patron.bill.v1 import bill_service_pb2 as bill
from server.interceptors import Chain
from server.interceptors.interceptor import Call, Interceptor
from server.interceptors.method import Kind, Method
from tests.support.chain_server import whole_chain
from tests.support.tokens import Issuer

GET_BILL = "/patron.bill.v1.BillService/GetBill"


class Spy(Interceptor):
    """Remembers the methods that it was told."""

    def __init__(self) -> None:
        self.methods: list[Method] = []

    def wrap(self, method: Method, call: Call) -> Call:
        self.methods.append(method)
        return call


async def get_bill(request: bill.GetBillRequest, context: Any) -> bill.GetBillResponse:
    """Answer nothing."""
    return bill.GetBillResponse()


async def list_bills(_requests: Any, _context: Any) -> AsyncIterator[bill.ListBillsResponse]:
    """Answer one page."""
    yield bill.ListBillsResponse()


def test_order(tmp_path: Path) -> None:
    """Metrics see all, errors what anyone refuses; overload costs no token, a limit no parsing.

    A kept answer costs neither, and is only for those who have its feature. Traces, where they are
    wanted, are around all of it.
    """
    traces = Spy()
    verifier = Issuer(tmp_path).verifier()
    outermost, *chain = whole_chain(registry=CollectorRegistry(), verifier=verifier, traces=traces)

    assert outermost is traces
    assert [type(interceptor).__name__ for interceptor in chain] == [
        "Metrics",
        "Log",
        "Errors",
        "Overload",
        "Auth",
        "RateLimit",
        "FeatureGate",
        "ResponseCache",
        "Codec",
        "Validation",
    ]
    assert [interceptor.everywhere for interceptor in chain] == [True] * 3 + [False] * 7


class Server:
    """Remembers the handlers that were registered."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        self.handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}


def register(spy: Spy, handler: Any) -> Any:
    """Return what is registered for GetBill, with the spy around it."""
    server: Any = Server()
    registration = Chain([spy]).around(server)
    registration.add_registered_method_handlers("patron.bill.v1.BillService", {"GetBill": handler})
    return server.handlers[GET_BILL]


def test_wraps_each_method_when_it_is_registered() -> None:
    """An interceptor is told once what the method is; the codec alone handles its messages."""
    spy = Spy()
    handler = register(spy, grpc.unary_unary_rpc_method_handler(get_bill))

    assert (handler.request_deserializer, handler.response_serializer) == (None, None)
    [method] = spy.methods
    assert (method.service, method.name) == ("patron.bill.v1.BillService", "GetBill")
    assert method.kind is Kind.UNARY
    assert method.policy.scope == "bills.read"
    assert (method.request_type, method.response_type) == (
        bill.GetBillRequest,
        bill.GetBillResponse,
    )


@pytest.mark.parametrize(
    "make, kind",
    [
        (grpc.unary_unary_rpc_method_handler, Kind.UNARY),
        (grpc.stream_unary_rpc_method_handler, Kind.CLIENT_STREAM),
        (grpc.unary_stream_rpc_method_handler, Kind.SERVER_STREAM),
        (grpc.stream_stream_rpc_method_handler, Kind.BIDI_STREAM),
    ],
)
def test_keeps_the_kind(make: Any, kind: Kind) -> None:
    """The wrapped handler streams what the served one does."""
    spy = Spy()
    handler = register(spy, make(list_bills))

    assert (handler.request_streaming, handler.response_streaming) == (
        kind in {Kind.CLIENT_STREAM, Kind.BIDI_STREAM},
        kind in {Kind.SERVER_STREAM, Kind.BIDI_STREAM},
    )
    assert spy.methods[0].kind is kind
