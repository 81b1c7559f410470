"""Messages that are given encoded: one, or several with the length of each before it."""

from collections.abc import Sequence

from load.data.messages import MessageType
from load.errors import DataError

_MORE = 0x80
"""This bit of a byte says that the number goes on."""


def split(data: bytes, message_type: MessageType) -> Sequence[bytes]:
    """Return the messages in binary data.

    They are those that have their lengths before them, as `varint`, if all of the data can be
    read so; else the data is one message.

    Raises:
        DataError: It is neither.
    """
    delimited = _delimited(data)
    if delimited and _all_are(delimited, message_type):
        return delimited
    try:
        message_type.check(data)
    except DataError as error:
        raise DataError(f"it is {error}, nor several with the length of each before it") from None
    return [data]


def _all_are(messages: Sequence[bytes], message_type: MessageType) -> bool:
    try:
        for message in messages:
            message_type.check(message)
    except DataError:
        return False
    return True


def _delimited(data: bytes) -> Sequence[bytes] | None:
    """Return the parts that have their lengths before them; None: the data has no such parts."""
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        length = shift = 0
        while True:
            if at == len(data):
                return None
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & _MORE:
                break
        if at + length > len(data):
            return None
        parts.append(data[at : at + length])
        at += length
    return parts
