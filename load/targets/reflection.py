"""Descriptors from the server itself, which tells them by gRPC's server reflection."""

import time
from collections.abc import Mapping, Sequence

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from load.calls import Metadata
from load.errors import DataError, TargetError
from load.jobs import Target
from load.targets.channels import reason_of, synchronous_channel
from load.targets.descriptors import unknown_service
from load.targets.headers import BINARY, header

_VERSIONS = ("v1", "v1alpha")
"""Of the service; their messages are the same on the wire."""
_NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]


def reflect(
    target: Target, service: str, metadata: Mapping[str, str] | None
) -> Sequence[FileDescriptorProto]:
    """Return the file that defines a service, and all that it imports.

    Args:
        target: The server; all of it has to be told within its `connect_timeout`.
        service: The full name.
        metadata: Is sent with the request.

    Raises:
        DataError: The metadata is none that gRPC takes.
        TargetError: The server cannot be reached, has no reflection, or doesn't know the service.
    """
    with synchronous_channel(target) as channel:
        server = _Server(channel, target, _headers(metadata or {}))
        files = {file.name: file for file in server.files_of(service)}
        while missing := _missing(files):
            files |= {file.name: file for file in server.files(missing)}
    return list(files.values())


def _missing(files: Mapping[str, FileDescriptorProto]) -> Sequence[str]:
    """Return what is imported and isn't there yet."""
    imported = (name for file in files.values() for name in file.dependency)
    return [name for name in dict.fromkeys(imported) if name not in files]


def _headers(metadata: Mapping[str, str]) -> Metadata:
    try:
        return tuple(
            header(key, value.encode() if key.lower().endswith(BINARY) else value)
            for key, value in metadata.items()
        )
    except DataError as error:
        raise DataError(f"reflect-metadata: {error}") from None


class _Server:
    """What a server tells of itself."""

    def __init__(self, channel: grpc.Channel, target: Target, metadata: Metadata) -> None:
        self._channel = channel
        self._host = target.host
        self._metadata = metadata
        self._versions = list(_VERSIONS)
        timeout = target.connect_timeout
        self._deadline = time.monotonic() + timeout if timeout else None

    def files_of(self, service: str) -> Sequence[FileDescriptorProto]:
        """Return the file that defines a service, maybe with others."""
        [answer] = self._ask([ServerReflectionRequest(file_containing_symbol=service)])
        if answer.error_response.error_code == _NOT_FOUND:
            [listed] = self._ask([ServerReflectionRequest(list_services="*")])
            names = [each.name for each in listed.list_services_response.service]
            raise unknown_service(service, names, where=f"what {self._host} serves")
        return self._unpacked(answer, service)

    def files(self, names: Sequence[str]) -> Sequence[FileDescriptorProto]:
        """Return files by name, maybe with others."""
        answers = self._ask([ServerReflectionRequest(file_by_filename=name) for name in names])
        return [
            file
            for name, answer in zip(names, answers, strict=True)
            for file in self._unpacked(answer, name)
        ]

    def _unpacked(
        self, answer: ServerReflectionResponse, asked: str
    ) -> Sequence[FileDescriptorProto]:
        if answer.HasField("error_response"):
            message = answer.error_response.error_message
            raise TargetError(f"the reflection of {self._host} has not {asked}: {message}")
        found = answer.file_descriptor_response.file_descriptor_proto
        if not found:
            raise TargetError(f"the reflection of {self._host} tells nothing of {asked}")
        return [FileDescriptorProto.FromString(each) for each in found]

    def _ask(
        self, requests: Sequence[ServerReflectionRequest]
    ) -> Sequence[ServerReflectionResponse]:
        """Return the answers to some requests, in the first version that the server has."""
        while True:
            try:
                return self._ask_version(self._versions[0], requests)
            except grpc.RpcError as error:
                unimplemented = error.code() is grpc.StatusCode.UNIMPLEMENTED
                if unimplemented and len(self._versions) > 1:
                    del self._versions[0]
                    continue
                if unimplemented:
                    raise TargetError(
                        f"{self._host} has no server reflection: give proto, protoset or stubs"
                    ) from None
                raise TargetError(
                    f"the methods of {self._host} cannot be found by reflection:"
                    f" {reason_of(error.code(), error.details())}"
                ) from None

    def _ask_version(
        self, version: str, requests: Sequence[ServerReflectionRequest]
    ) -> Sequence[ServerReflectionResponse]:
        method = self._channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )
        left = None if self._deadline is None else self._deadline - time.monotonic()
        return list(method(iter(requests), timeout=left, metadata=self._metadata))
