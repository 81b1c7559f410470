"""Messages of a type that is known by its descriptors alone."""

import re
from functools import cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, EncodeError, Message
from google.protobuf.message_factory import GetMessageClass

from load.calls import Method
from load.data.faults import faults
from load.errors import DataError
from load.targets.descriptors import pool_of

_IN_FIELD = re.compile(r"Failed to parse (\w+) field: ")
_AT = re.compile(r" at [\w.\[\]]+$")


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
            raise DataError(self._fault(value) or _plain(str(error))) from None
        # json_format leaves out of base64 what isn't.
        if self._has_bytes and (fault := self._fault(value)):
            raise DataError(fault)
        return message

    def _fault(self, value: dict[str, Any]) -> str:
        return next(faults(self._descriptor, value), "")

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


def _plain(error: str) -> str:
    """Return what json_format says without what it says of its own work."""
    path: list[str] = []
    while match := _IN_FIELD.match(error):
        path.append(match[1])
        error = error[match.end() :]
    return ": ".join(filter(None, (".".join(path), _AT.sub("", error.rstrip(".")))))


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
