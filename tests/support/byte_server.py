"""A server in this process that answers bytes with bytes, over any transport."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from tests.support.certificates import Certificate

ECHO = "/bytes.Bytes/Echo"


@dataclass
class ByteServer:
    """A server that runs, and what it has seen."""

    target: str
    authorities: list[str] = field(default_factory=list)
    """What the calls of Echo had as their `:authority`."""
    peers: set[str] = field(default_factory=set)
    reflections: list[dict[str, Any]] = field(default_factory=list)
    """The metadata of the calls of its reflection."""


@contextmanager
def byte_server(
    *,
    certificate: Certificate | None = None,
    clients: bytes | None = None,
    socket: Path | None = None,
    reflection: str = "",
    descriptors: bytes = b"",
) -> Iterator[ByteServer]:
    """Lend a server.

    Args:
        certificate: Its own; None: plaintext.
        clients: The authority of the certificates that clients need.
        socket: A Unix socket to listen on, instead of a port of loopback.
        reflection: The version that it has; none if empty. Each file is told by itself.
        descriptors: A protoset that its reflection tells.
    """
    seen = ByteServer("")
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((_Handlers(seen, reflection, descriptors),))
    address = f"unix:{socket}" if socket else "127.0.0.1:0"
    if certificate:
        credentials = grpc.ssl_server_credentials(
            [(certificate.key, certificate.chain)], clients, clients is not None
        )
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    seen.target = address if socket else f"127.0.0.1:{port}"
    server.start()
    try:
        yield seen
    finally:
        server.stop(0).wait()


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, seen: ByteServer, reflection: str, descriptors: bytes) -> None:
        self._seen = seen
        self._reflection = f"/grpc.reflection.{reflection}.ServerReflection/ServerReflectionInfo"
        self._files = {file.name: file for file in FileDescriptorSet.FromString(descriptors).file}

    def service(self, details: Any) -> Any:
        if details.method == ECHO:
            return grpc.unary_unary_rpc_method_handler(self._echo)
        if details.method == self._reflection:
            return grpc.stream_stream_rpc_method_handler(
                self._reflect,
                ServerReflectionRequest.FromString,
                ServerReflectionResponse.SerializeToString,
            )
        return None

    def _echo(self, request: bytes, context: Any) -> bytes:
        self._seen.peers.add(context.peer())
        # Nothing that is public tells it.
        self._seen.authorities.append(context._rpc_event.call_details.host.decode())
        return request

    def _reflect(
        self, requests: Iterator[ServerReflectionRequest], context: Any
    ) -> Iterator[ServerReflectionResponse]:
        self._seen.reflections.append(dict(context.invocation_metadata()))
        for request in requests:
            response = ServerReflectionResponse()
            if request.HasField("list_services"):
                for name in self._services():
                    response.list_services_response.service.add(name=name)
            elif file := self._files.get(request.file_by_filename) or self._services().get(
                request.file_containing_symbol
            ):
                response.file_descriptor_response.file_descriptor_proto.append(
                    file.SerializeToString()
                )
            else:
                response.error_response.error_code = grpc.StatusCode.NOT_FOUND.value[0]
                response.error_response.error_message = "there is none"
            yield response

    def _services(self) -> dict[str, Any]:
        return {
            f"{file.package}.{each.name}": file
            for file in self._files.values()
            for each in file.service
        }
