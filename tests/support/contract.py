"""The contract as descriptors, to be walked by tests."""

import importlib
import pkgutil
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor

import patron


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
