"""The messages of the probe, without generated code."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

FOLDER = Path(__file__).parent


@cache
def descriptor_set() -> bytes:
    """Return the protoset: the descriptors of the contract and all that it imports."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "probe.protoset")
        well_known = Path(protoc.__file__).with_name("_proto")
        arguments = ["protoc", f"-I{FOLDER}", f"-I{well_known}", "--include_imports"]
        assert protoc.main([*arguments, f"--descriptor_set_out={out}", "probe.proto"]) == 0
        return out.read_bytes()


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptor_set()).file:
        pool.Add(file)
    return pool


def pool() -> descriptor_pool.DescriptorPool:
    """Return the pool that has the contract."""
    return _pool()


@cache
def message_class(name: str) -> Any:
    """Return the class of a message of the contract."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"probe.v1.{name}"))
