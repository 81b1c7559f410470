"""Keyed hashes: which request this is, without keeping what it says."""

import hmac
from typing import Final
from uuid import UUID

from google.protobuf.message import Message

from domain.model.request import RequestKey

_HASH: Final = "sha256"


class Digests:
    """Hashes messages with a key derived from the server's secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"patron request digest", _HASH)

    def of(self, message: Message) -> bytes:
        """Return the keyed hash of a message: the same for equal messages, 32 bytes."""
        return hmac.digest(self._key, message.SerializeToString(deterministic=True), _HASH)

    def key(self, request_id: str, message: Message) -> RequestKey:
        """Return the key of the write that `message` asks for."""
        return RequestKey(UUID(request_id), message.DESCRIPTOR.full_name, self.of(message))
