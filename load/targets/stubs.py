"""Descriptors from generated code."""

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from load.errors import ConfigError


def import_stubs(module: str) -> Sequence[FileDescriptorProto]:
    """Return the file that a generated module (`package.thing_service_pb2`) is of, and its imports.

    It is looked for in the current folder first.

    Raises:
        ConfigError: There is no such module, it cannot be imported, or it isn't generated.
    """
    try:
        with _current_folder():
            imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = "" if error.name == module else f", as there is no module {error.name}"
        raise ConfigError(f"stubs: cannot import {module}{missing}") from None
    except Exception as error:
        # A module can fail with anything at all.
        raise ConfigError(f"stubs: cannot import {module}: {error}") from error
    file = getattr(imported, "DESCRIPTOR", None)
    if not isinstance(file, FileDescriptor):
        raise ConfigError(f"stubs: {module} is no generated module, such as thing_service_pb2")
    return list(_with_imports(file, set()))


@contextmanager
def _current_folder() -> Iterator[None]:
    """Import from the current folder too, for now."""
    folder = os.getcwd()  # noqa: PTH109
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(folder)


def _with_imports(file: FileDescriptor, seen: set[str]) -> Iterator[FileDescriptorProto]:
    seen.add(file.name)
    for each in file.dependencies:
        if each.name not in seen:
            yield from _with_imports(each, seen)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    yield proto
