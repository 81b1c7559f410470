"""The contract as descriptors, to be walked by tests."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor

import patron

ROOT = Path(__file__).parents[2]


def files() -> Iterator[FileDescriptor]:
    """Yield every proto of Patron."""
    for module in pkgutil.walk_packages(patron.__path__, "patron."):
        if module.name.endswith("_pb2"):
            yield importlib.import_module(module.name).DESCRIPTOR


def methods() -> list[MethodDescriptor]:
    """Return every RPC of Patron."""
    return [
        method
        for file in files()
        for service in file.services_by_name.values()
        for method in service.methods
    ]


def messages() -> list[Descriptor]:
    """Return every message of Patron but the method options."""
    return [
        message
        for file in files()
        if file.package != "patron.options.v1"
        for message in file.message_types_by_name.values()
    ]


def documented_codes() -> dict[str, str]:
    """Return the code in brackets of every reason's comment."""
    text = (ROOT / "protos/patron/error/v1/error_reason.proto").read_text()
    pattern = r"// \[(\w+)\](?:.*\n)(?:\s*//.*\n)*\s*ERROR_REASON_(\w+) ="
    return {reason: code for code, reason in re.findall(pattern, text)}
