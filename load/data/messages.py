"""Messages of a type that is known by its descriptors alone."""

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, EncodeError, Message
from google.protobuf.message_factory import GetMessageClass

from load.calls import Method
from load.errors import DataError
from load.targets.descriptors import pool_of

_IN_FIELD = re.compile(r"Failed to parse (\w+) field: ")
_AT = re.compile(r" at [\w.\[\]]+$")
_NO_FIELD = re.compile(
    r'Message type "[^"]*" has no field named "(.*?)".*Fields[^\[]*\[(.*)\]', re.DOTALL
)
_NO_INTEGER = re.compile(r"invalid literal for int\(\) with base \d+: (.*)")
_NO_TEXT = re.compile(r"expected string or bytes-like object, got '(\w+)'")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")


class MessageType:
    """A type of messages. Can be pickled; there is one of each in a process."""

    def __init__(self, descriptors: bytes, name: str) -> None:
        self._key = (descriptors, name)
        self._pool = pool_of(descriptors)
        self._descriptor = self._pool.FindMessageTypeByName(name)
        self._make = GetMessageClass(self._descriptor)
        self._has_bytes = _has_bytes(self._descriptor, set())

    def __reduce__(self) -> tuple[Any, tuple[bytes, str]]:
        return _message_type, self._key

    def parse(self, value: dict[str, Any]) -> Message:
        """Return the message that a JSON object says, by protobuf's rules for JSON.

        Raises:
            DataError: It says none; the text names the field.
        """
        message = self._make()
        try:
            json_format.ParseDict(value, message, descriptor_pool=self._pool)
        except json_format.ParseError as error:
            raise DataError(_told(str(error))) from None
        if self._has_bytes:
            # json_format leaves out of base64 what isn't.
            _check_base64(self._descriptor, value)
        return message

    def encode(self, value: dict[str, Any]) -> bytes:
        """Return the encoded message that a JSON object says.

        Raises:
            DataError: As `parse`.
        """
        return encoded(self.parse(value))

    def check(self, data: bytes) -> None:
        """Check an encoded message.

        Raises:
            DataError: It is none.
        """
        try:
            message = self._make.FromString(data)
        except DecodeError:
            raise DataError(f"no {self._descriptor.full_name}") from None
        if not message.IsInitialized():
            raise DataError(_lacks(message))


@cache
def _message_type(descriptors: bytes, name: str) -> MessageType:
    return MessageType(descriptors, name)


def request_type(method: Method) -> MessageType:
    """Return the type of what a method is sent."""
    return _message_type(method.descriptors, method.input_type)


def encoded(message: Message) -> bytes:
    """Return the encoded message.

    Raises:
        DataError: A field that is required isn't set.
    """
    try:
        return message.SerializeToString()
    except EncodeError:
        raise DataError(_lacks(message)) from None


def _lacks(message: Any) -> str:  # noqa: ANN401
    return f"required fields are not set: {', '.join(message.FindInitializationErrors())}"


def _told(error: str) -> str:
    """Return what json_format says as `path.of.field: what is wrong`."""
    path: list[str] = []
    while match := _IN_FIELD.match(error):
        path.append(match[1])
        error = error[match.end() :]
    reason = _AT.sub("", error.rstrip("."))
    if match := _NO_FIELD.match(reason):
        return _no_field([*path, match[1]], re.findall(r"'(\w+)'", match[2]))
    reason = _NO_INTEGER.sub(r"\1 is no integer", reason)
    reason = _NO_TEXT.sub(r"a string is expected, not a value of type \1", reason)
    return ": ".join(filter(None, (".".join(path), reason)))


def _no_field(path: Sequence[str], names: Sequence[str]) -> str:
    near = difflib.get_close_matches(path[-1], names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(names) or 'none'}"
    return f"{'.'.join(path)}: there is no such field; {hint}"


def _has_bytes(descriptor: Descriptor, seen: set[str]) -> bool:
    """Return whether a message, or one in it, has fields of bytes."""
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    return any(
        field.type == FieldDescriptor.TYPE_BYTES
        or (field.message_type is not None and _has_bytes(field.message_type, seen))
        for field in descriptor.fields
    )


def _check_base64(descriptor: Descriptor, value: Mapping[str, Any], path: str = "") -> None:
    """Check what a message, which json_format has accepted, has in its fields of bytes."""
    if descriptor.full_name.startswith("google.protobuf."):
        return  # Their JSON isn't that of their fields.
    for field in descriptor.fields:
        found = value.get(field.json_name, value.get(field.name))
        if found is None:
            continue
        here = f"{path}{field.name}"
        content, values = field, found if field.is_repeated else [found]
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            content, values = entry.fields_by_name["value"], found.values()
        for each in values:
            if content.type == FieldDescriptor.TYPE_BYTES and not _BASE64.fullmatch(each):
                raise DataError(f"{here}: {each!r} is no base64")
            if content.message_type is not None:
                _check_base64(content.message_type, each, f"{here}.")
