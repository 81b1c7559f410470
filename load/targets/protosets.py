"""Descriptors from a protoset, as `protoc --descriptor_set_out` writes it."""

from collections.abc import Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from load.errors import ConfigError


def read_protoset(protoset: str) -> Sequence[FileDescriptorProto]:
    """Return the files of a protoset.

    Raises:
        ConfigError: It cannot be read, or is none.
    """
    try:
        files = FileDescriptorSet.FromString(Path(protoset).read_bytes()).file
    except OSError as error:
        raise ConfigError(f"protoset: cannot read {protoset}: {error.strerror}") from None
    except DecodeError:
        raise ConfigError(f"protoset: {protoset} is no protoset") from None
    if not files:
        raise ConfigError(f"protoset: {protoset} is empty")
    return files
