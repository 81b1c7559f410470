"""Files of descriptors, wherever they came from: what they define, and what belongs together."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from google.protobuf.descriptor_pb2 import (
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool

from load.calls import Kind, Method
from load.errors import TargetError

_KINDS: Mapping[tuple[bool, bool], Kind] = {
    (kind.client_streams, kind.server_streams): kind for kind in Kind
}
_LISTED = 10
"""How many names a message lists at most."""


def find(files: Iterable[FileDescriptorProto], service: str, name: str, *, where: str) -> Method:
    """Return a method that the files define.

    Args:
        files: In any order, with all that they import.
        service: The full name.
        name: That of the method.
        where: What the files are, for messages.

    Raises:
        TargetError: It isn't there, or the files do not belong together; names that are near to
            it are in the text.
    """
    by_name = {file.name: file for file in files}
    services = {
        ".".join(filter(None, (file.package, each.name))): (file, each)
        for file in by_name.values()
        for each in file.service
    }
    if service not in services:
        raise unknown_service(service, services, where=where)
    file, found = services[service]
    methods: dict[str, MethodDescriptorProto] = {each.name: each for each in found.method}
    if name not in methods:
        hint = _hint(name, list(methods))
        raise TargetError(f"call: the service {service} has no method {name!r}{hint}")
    method = methods[name]
    descriptors = _serialize(_with_imports(file, by_name, where))
    # Here, not in the middle of things: whether all that they refer to is there.
    pool_of(descriptors, where=where)
    return Method(
        service=service,
        name=name,
        kind=_KINDS[method.client_streaming, method.server_streaming],
        input_type=method.input_type.removeprefix("."),
        output_type=method.output_type.removeprefix("."),
        descriptors=descriptors,
    )


def unknown_service(service: str, services: Iterable[str], *, where: str) -> TargetError:
    """Return the error that says so, with the names that are near to it."""
    return TargetError(f"call: no service {service!r} in {where}{_hint(service, list(services))}")


def pool_of(descriptors: bytes, *, where: str = "the descriptors") -> DescriptorPool:
    """Return a pool of the files of a `FileDescriptorSet`, each of which comes after its imports.

    Raises:
        TargetError: They do not belong together.
    """
    pool = DescriptorPool()
    try:
        for file in FileDescriptorSet.FromString(descriptors).file:
            pool.AddSerializedFile(file.SerializeToString())
    except TypeError as error:
        raise TargetError(f"{where} cannot be used: {error}") from None
    return pool


def _with_imports(
    file: FileDescriptorProto, by_name: Mapping[str, FileDescriptorProto], where: str
) -> Iterator[FileDescriptorProto]:
    """Yield the file after all that it imports."""
    seen: set[str] = set()

    def walk(each: FileDescriptorProto) -> Iterator[FileDescriptorProto]:
        seen.add(each.name)
        for name in each.dependency:
            if name not in by_name:
                raise TargetError(
                    f"{where} has not the file {name}, which {each.name} imports"
                    " (protoc writes it with --include_imports)"
                )
            if name not in seen:
                yield from walk(by_name[name])
        yield each

    return walk(file)


def _serialize(files: Iterable[FileDescriptorProto]) -> bytes:
    return FileDescriptorSet(file=files).SerializeToString()


def _hint(name: str, names: Sequence[str]) -> str:
    """Return what to say of the names that there are."""
    folded = {_folded(each): each for each in names}
    near = difflib.get_close_matches(_folded(name), folded, n=3)
    # `Greeter` for `helloworld.Greeter`.
    last = _folded(name.rpartition(".")[2])
    near += [each for each in folded if each.rpartition(".")[2] == last and each not in near]
    if near:
        return f"; did you mean {' or '.join(folded[each] for each in near)}?"
    if not names:
        return ", which has none"
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"; there is {', '.join(sorted(names)[:_LISTED])}{rest}"


def _folded(name: str) -> str:
    return name.lower()
