"""Where bytes become messages and messages bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from google.protobuf.message import DecodeError

from domain.errors import InvalidRequestError, Reason
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Method

_CANCELLATION_LAG = 0.001
"""How many seconds after the end of the requests grpc.aio cancels a call that its client left."""


class Codec(Interceptor):
    """Parses requests and serializes answers; outside it, a call is bytes."""

    def wrap(self, method: Method, call: Call) -> Call:
        """Translate the requests and answers of the method."""
        parse, serialize = method.parse, method.serialize

        def decode(request: Payload) -> Payload:
            if method.streams_requests:
                return _Parsed(request, parse)
            return _parsed(request, parse)

        async def one(request: Payload, context: Context) -> bytes:
            return serialize(await call(decode(request), context))

        async def many(request: Payload, context: Context) -> None:
            async with aclosing(await call(decode(request), context)) as answers:
                async for answer in answers:
                    await context.write(serialize(answer))

        return many if method.streams_answers else one


class _Parsed(AsyncIterator[Any]):
    """The messages of a stream of requests."""

    __slots__ = ("_parse", "_requests")

    def __init__(self, requests: AsyncIterator[bytes], parse: Callable[[bytes], Any]) -> None:
        self._requests = requests
        self._parse = parse

    async def __anext__(self) -> Payload:
        try:
            request = await anext(self._requests)
        except StopAsyncIteration:
            # A client that leaves looks like one that has sent all, until the cancellation comes.
            await asyncio.sleep(_CANCELLATION_LAG)
            raise
        return _parsed(request, self._parse)


def _parsed(request: bytes, parse: Callable[[bytes], Any]) -> Payload:
    try:
        return parse(request)
    except DecodeError:
        raise InvalidRequestError(
            Reason.REQUEST_MALFORMED, "the request is not a message of the method's request type"
        ) from None
