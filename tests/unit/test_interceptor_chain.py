"""The order of the chain, and what it costs nothing to do."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from patron.bill.v1 import bill_service_pb2 as bill
from server.interceptors import Chain, Overload, default_interceptors
from server.interceptors.interceptor import Call, Interceptor
from server.interceptors.method import Kind, Method
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
    """Metrics see all, errors what anyone refuses; overload costs no token, a limit no parsing."""
    chain = default_interceptors(
        registry=CollectorRegistry(),
        verifier=Issuer(tmp_path).verifier(),
        capture=lambda *_: None,
        overload=Overload(max_in_flight=1, max_streams=1),
        limiters={},
    )

    assert [type(interceptor).__name__ for interceptor in chain] == [
        "Metrics",
        "Log",
        "Errors",
        "Overload",
        "Auth",
        "RateLimit",
        "Codec",
        "Validation",
    ]
    assert [interceptor.everywhere for interceptor in chain] == [True] * 3 + [False] * 5


async def test_wraps_each_method_once() -> None:
    """A method is looked up and wrapped for its first call only, and told what it is."""
    spy = Spy()
    chain = Chain([spy])
    lookups: list[str] = []

    async def lookup(details: Any) -> Any:
        lookups.append(details.method)
        return grpc.unary_unary_rpc_method_handler(get_bill)

    details: Any = SimpleNamespace(method=GET_BILL)
    first = await chain.intercept_service(lookup, details)
    second = await chain.intercept_service(lookup, details)

    assert first is second
    assert first is not None
    assert (first.request_deserializer, first.response_serializer) == (None, None)
    assert lookups == [GET_BILL]
    [method] = spy.methods
    assert (method.service, method.name) == ("patron.bill.v1.BillService", "GetBill")
    assert method.kind is Kind.UNARY
    assert method.policy.scope == "bills.read"
    assert (method.request_type, method.response_type) == (
        bill.GetBillRequest,
        bill.GetBillResponse,
    )


async def test_unknown_methods_are_not_remembered() -> None:
    """A method that nobody serves stays grpc's affair, and takes no memory."""
    chain = Chain([])

    async def lookup(_details: Any) -> Any:
        return None

    details: Any = SimpleNamespace(method="/nobody/knows")

    assert await chain.intercept_service(lookup, details) is None
    assert chain._handlers == {}


@pytest.mark.parametrize(
    "make, kind",
    [
        (grpc.unary_unary_rpc_method_handler, Kind.UNARY),
        (grpc.stream_unary_rpc_method_handler, Kind.CLIENT_STREAM),
        (grpc.unary_stream_rpc_method_handler, Kind.SERVER_STREAM),
        (grpc.stream_stream_rpc_method_handler, Kind.BIDI_STREAM),
    ],
)
async def test_keeps_the_kind(make: Any, kind: Kind) -> None:
    """The wrapped handler streams what the served one does."""
    spy = Spy()

    async def lookup(_details: Any) -> Any:
        return make(list_bills)

    details: Any = SimpleNamespace(method="/patron.bill.v1.BillService/ListBills")
    handler = await Chain([spy]).intercept_service(lookup, details)

    assert handler is not None
    assert (handler.request_streaming, handler.response_streaming) == (
        kind in {Kind.CLIENT_STREAM, Kind.BIDI_STREAM},
        kind in {Kind.SERVER_STREAM, Kind.BIDI_STREAM},
    )
    assert spy.methods[0].kind is kind
