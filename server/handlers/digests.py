"""Keyed hashes: which request this is, without keeping what it says."""

import hmac
from typing import Final
from uuid import UUID

from google.protobuf.message import Message

from domain.model.request import RequestKey
from patron.bill.v1.bill_service_pb2 import CreateBillRequest
from patron.customer.v1.customer_service_pb2 import CreateCustomerRequest, UpdateCustomerRequest
from patron.feature.v1.feature_service_pb2 import SendFeedbackRequest

_HASH: Final = "sha256"


WriteRequest = (
    CreateCustomerRequest | UpdateCustomerRequest | CreateBillRequest | SendFeedbackRequest
)


class Digests:
    """Hashes messages with a key derived from the server's secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"patron request digest", _HASH)

    def of(self, message: Message) -> bytes:
        """Return the keyed hash of a message: the same for equal messages, 32 bytes."""
        return hmac.digest(self._key, message.SerializeToString(deterministic=True), _HASH)

    def key(self, request: WriteRequest, message: Message) -> RequestKey:
        """Return the key of a request for a write; `message` is what of it says which write."""
        method = request.DESCRIPTOR.full_name
        return RequestKey(UUID(request.request_id), method, self.of(message))
