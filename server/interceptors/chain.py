"""The interceptors around every method of a server."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import grpc
import grpc.aio
from prometheus_client import CollectorRegistry

from domain.errors import Reason, UnimplementedError
from domain.ports import Features
from server.answers import Answers
from server.auth.tokens import TokenVerifier
from server.interceptors.auth import Auth
from server.interceptors.codec import Codec
from server.interceptors.errors import Capture, Errors, Note
from server.interceptors.feature_gate import FeatureGate
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.log import Log
from server.interceptors.method import Kind, Method
from server.interceptors.metrics import Metrics
from server.interceptors.overload import Overload
from server.interceptors.rate_limit import RateLimit, RateLimiter
from server.interceptors.response_cache import ResponseCache
from server.interceptors.validation import Validation

if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]

_HANDLER_OF_KIND: dict[Kind, Callable[..., "Handler"]] = {
    Kind.UNARY: grpc.unary_unary_rpc_method_handler,
    Kind.CLIENT_STREAM: grpc.stream_unary_rpc_method_handler,
    Kind.SERVER_STREAM: grpc.unary_stream_rpc_method_handler,
    Kind.BIDI_STREAM: grpc.stream_stream_rpc_method_handler,
}


def default_interceptors(
    *,
    registry: CollectorRegistry,
    verifier: TokenVerifier,
    capture: Capture,
    note: Note,
    overload: Overload,
    limiters: Mapping[str, RateLimiter],
    features: Features,
    watched: str,
    answers: Answers,
    slow_after: float = 1.0,
    traces: Interceptor | None = None,
) -> tuple[Interceptor, ...]:
    """Return Patron's interceptors, the outermost first.

    Args:
        registry: Where the metrics are registered.
        verifier: Tells who carries a token.
        capture: Reports an unexpected exception, with its id and the method.
        note: Counts an unexpected exception, by its kind.
        overload: Bounds the work of the worker.
        limiters: The limiter of each budget, by its name.
        features: Knows which merchant has which feature.
        watched: The feature by whose arms the calls of methods are told apart that have none.
        answers: Keeps the answers that may be kept.
        slow_after: From how many seconds on a call of one request and one answer is logged as slow.
        traces: Traces the calls; None: they aren't.
    """
    return (
        *((traces,) if traces is not None else ()),
        Metrics(registry, watched=watched),
        Log(slow_after=slow_after),
        Errors(capture, note),
        overload,
        Auth(verifier),
        RateLimit(limiters),
        FeatureGate(features, watched=watched),
        ResponseCache(answers),
        Codec(),
        Validation(),
    )


class Chain:
    """Leads every call through the interceptors, the first of them outermost.

    Handlers are wrapped when they are registered. An interceptor of grpc's own would be asked for
    the handler of every call anew, which costs about as much as all that the chain does.
    """

    def __init__(self, interceptors: Sequence[Interceptor]) -> None:
        self._interceptors = tuple(interceptors)

    def around(self, server: grpc.aio.Server) -> grpc.aio.Server:
        """Return what generated code registers servicers with, for the server to serve them."""
        return cast("grpc.aio.Server", _Registration(self._wrap, server))

    def _wrap(self, full_name: str, handler: "Handler") -> "Handler":
        method = Method.describe(full_name, handler)
        call = _standard_call(handler) if method.standard else _own_call(method, handler)
        for interceptor in reversed(self._interceptors):
            if interceptor.everywhere or not method.standard:
                call = interceptor.wrap(method, call)
        return _HANDLER_OF_KIND[method.kind](
            call,
            request_deserializer=handler.request_deserializer if method.standard else None,
            response_serializer=handler.response_serializer if method.standard else None,
        )


class _Registration:
    """The part of a server that generated code knows."""

    def __init__(
        self, wrap: Callable[[str, "Handler"], "Handler"], server: grpc.aio.Server
    ) -> None:
        self._wrap = wrap
        self._server = server

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, "Handler"]
    ) -> None:
        wrapped = {
            name: self._wrap(f"/{service}/{name}", handler) for name, handler in handlers.items()
        }
        self._server.add_registered_method_handlers(service, wrapped)

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Do nothing: the same methods are registered one by one, by the same generated code."""


def _behaviour(handler: "Handler") -> Callable[..., Any]:
    return cast(
        "Callable[..., Any]",
        handler.unary_unary
        or handler.unary_stream
        or handler.stream_unary
        or handler.stream_stream,
    )


def _own_call(method: Method, handler: "Handler") -> Call:
    behaviour = _behaviour(handler)
    if method.streams_answers and inspect.isasyncgenfunction(behaviour):

        async def answers(request: Payload, context: Context) -> Payload:
            return behaviour(request, context)

        return answers
    if not method.streams_answers and inspect.iscoroutinefunction(behaviour):
        return behaviour
    return _unimplemented


async def _unimplemented(_request: Payload, _context: Context) -> Payload:
    # What a generated servicer leaves unimplemented isn't even a coroutine.
    raise UnimplementedError(Reason.METHOD_UNKNOWN, "the server does not serve this method")


def _standard_call(handler: "Handler") -> Call:
    behaviour = _behaviour(handler)
    if not inspect.isasyncgenfunction(behaviour):
        return behaviour

    async def written(request: Payload, context: Context) -> None:
        async with aclosing(behaviour(request, context)) as answers:
            async for answer in answers:
                await context.write(answer)

    return written
