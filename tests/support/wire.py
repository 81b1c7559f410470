"""Calls of any method by its descriptor, with messages or with any bytes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from server.main import SERVICES
from tests.support.bills import trailers
from tests.support.service import Service

METHODS: list[MethodDescriptor] = [method for service in SERVICES for method in service.methods]
"""Every method that the server serves."""


def method_named(name: str) -> MethodDescriptor:
    """Return the served method of this short name, such as `CreateBill`."""
    [method] = [method for method in METHODS if method.name == name]
    return method


class Wire:
    """A channel with a token."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        # Bytes go through it as they are; the stubs know channels of messages only.
        self._channel: Any = channel
        self._metadata = (("authorization", f"Bearer {token}"),)

    async def send(self, method: MethodDescriptor, *requests: Message | bytes) -> Any:
        """Send requests, as many as the method takes, and return the answer."""
        path = _path(method)
        payloads = [
            each if isinstance(each, bytes) else each.SerializeToString() for each in requests
        ]
        if method.client_streaming:
            answer = await self._channel.stream_unary(path)(iter(payloads), metadata=self._metadata)
        else:
            [payload] = payloads
            answer = await self._channel.unary_unary(path)(payload, metadata=self._metadata)
        return GetMessageClass(method.output_type).FromString(answer)

    async def ask(self, method: MethodDescriptor, request: bytes) -> tuple[Any, dict[str, str]]:
        """Send the one request that the method takes; return the answer and the trailers."""
        call = self._channel.unary_unary(_path(method))(request, metadata=self._metadata)
        answer = GetMessageClass(method.output_type).FromString(await call)
        return answer, await trailers(call)


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


@asynccontextmanager
async def wire(service: Service, token: str) -> AsyncIterator[Wire]:
    """Lend a wire to a server."""
    async with grpc.aio.insecure_channel(service.target) as channel:
        yield Wire(channel, token)
