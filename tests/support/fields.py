"""The fields of messages, to be walked and filled by tests."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

Place = tuple[FieldDescriptor, ...]
"""The way from a message to one of its fields."""


def places(message: Descriptor, *types: int) -> Iterator[Place]:
    """Yield the way to every field of these types, through messages in messages."""
    for each in message.fields:
        if each.type in types:
            yield (each,)
        if each.message_type is not None:
            for inner in places(each.message_type, *types):
                yield (each, *inner)


def path_of(place: Place) -> str:
    """Return the path by which an error names the field, where `put` has put a value."""
    return ".".join(
        f"{each.name}[0]" if each.is_repeated and each.message_type else each.name for each in place
    )


def put(message: Message, place: Place, value: Any) -> None:
    """Set a field, in the first message of each list on the way to it."""
    *way, last = place
    target: Any = message
    for step in way:
        target = getattr(target, step.name)
        if step.is_repeated:
            target = target[0] if target else target.add()
    if last.is_repeated:
        getattr(target, last.name)[:] = [value]
    else:
        setattr(target, last.name, value)
