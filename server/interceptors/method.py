"""The method of a call, as the interceptors are told of it."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from patron.options.v1.options_pb2 import MethodPolicy, policy

if TYPE_CHECKING:
    import grpc


class Kind(enum.StrEnum):
    """Which sides of a method stream, named as the label `grpc_type` of the standard metrics."""

    UNARY = "unary"
    CLIENT_STREAM = "client_stream"
    SERVER_STREAM = "server_stream"
    BIDI_STREAM = "bidi_stream"


_KINDS = {
    (False, False): Kind.UNARY,
    (True, False): Kind.CLIENT_STREAM,
    (False, True): Kind.SERVER_STREAM,
    (True, True): Kind.BIDI_STREAM,
}


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC of a service."""

    full_name: str
    """The path on the wire, such as `/patron.bill.v1.BillService/GetBill`."""
    service: str
    name: str
    kind: Kind
    policy: MethodPolicy
    """What the contract says of the method; empty for a method without a policy."""
    request_type: type[Message]
    response_type: type[Message]
    parse: Callable[[bytes], Any]
    serialize: Callable[[Any], bytes]

    @classmethod
    def describe(cls, full_name: str, handler: "grpc.RpcMethodHandler[Any, Any]") -> "Method":
        """Return the method of this path, whose generated handler is `handler`.

        Raises:
            KeyError: No generated code describes the method.
        """
        service, name = full_name[1:].split("/")
        descriptor = descriptor_pool.Default().FindMethodByName(f"{service}.{name}")
        request_type = GetMessageClass(descriptor.input_type)
        response_type = GetMessageClass(descriptor.output_type)
        return cls(
            full_name=full_name,
            service=service,
            name=name,
            kind=_KINDS[handler.request_streaming, handler.response_streaming],
            policy=descriptor.GetOptions().Extensions[policy],
            request_type=request_type,
            response_type=response_type,
            parse=handler.request_deserializer or request_type.FromString,
            serialize=handler.response_serializer or response_type.SerializeToString,
        )

    @property
    def standard(self) -> bool:
        """Whether the method belongs to gRPC itself, as health and reflection do."""
        return self.service.startswith("grpc.")

    @property
    def streams_requests(self) -> bool:
        """Whether the client sends many messages."""
        return self.kind in {Kind.CLIENT_STREAM, Kind.BIDI_STREAM}

    @property
    def streams_answers(self) -> bool:
        """Whether the server answers with many messages."""
        return self.kind in {Kind.SERVER_STREAM, Kind.BIDI_STREAM}
