"""Page tokens: opaque, signed, and good for one list alone."""

import base64
import copy
import hmac
from typing import Final

import msgspec

from domain.errors import FieldViolation, InvalidRequestError, Reason
from domain.model.caller import Caller
from domain.model.paging import Cursor, PageRequest, page_size
from patron.analytics.v1.analytics_service_pb2 import ListTopCustomersRequest
from patron.bill.v1.bill_service_pb2 import ListBillsRequest
from patron.customer.v1.customer_service_pb2 import ListCustomersRequest

_HASH: Final = "sha256"
_SIGNATURE_BYTES: Final = 16

ListRequest = ListCustomersRequest | ListBillsRequest | ListTopCustomersRequest


class PageTokens:
    """Signs cursors with a key derived from the server's secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"patron page token", _HASH)

    def page(
        self, caller: Caller, request: ListRequest, cursor: object, *, default: int, maximum: int
    ) -> PageRequest:
        """Return the page that a request asks for.

        Args:
            caller: Whose list it is.
            request: A message with `page_size` and `page_token`.
            cursor: The type of the list's cursors, a tuple.
            default: How many items a page gets when the request says nothing.
            maximum: How many items a page gets at most.

        Raises:
            InvalidRequestError: The token is not one for this list (PAGE_TOKEN_INVALID).
        """
        size = page_size(request.page_size, default=default, maximum=maximum)
        if not request.page_token:
            return PageRequest(size, None)
        try:
            signed = base64.urlsafe_b64decode(request.page_token.encode())
            signature, text = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
            if not hmac.compare_digest(signature, self._sign(caller, request, text)):
                raise _invalid()
            return PageRequest(size, msgspec.json.decode(text, type=cursor))
        except ValueError as error:
            raise _invalid() from error

    def next(self, caller: Caller, request: ListRequest, cursor: Cursor | None) -> str:
        """Return the token of the page that begins after the cursor; empty at the end."""
        if cursor is None:
            return ""
        text = msgspec.json.encode(cursor)
        return base64.urlsafe_b64encode(self._sign(caller, request, text) + text).decode()

    def _sign(self, caller: Caller, request: ListRequest, text: bytes) -> bytes:
        """Return the signature of a cursor for everything in the request but the page."""
        arguments = copy.deepcopy(request)
        arguments.ClearField("page_token")
        arguments.ClearField("page_size")
        signing = hmac.new(self._key, digestmod=_HASH)
        for part in (
            caller.merchant_id.bytes,
            request.DESCRIPTOR.full_name.encode(),
            arguments.SerializeToString(deterministic=True),
            text,
        ):
            signing.update(len(part).to_bytes(4, "big") + part)
        return signing.digest()[:_SIGNATURE_BYTES]


def _invalid() -> InvalidRequestError:
    return InvalidRequestError(
        Reason.PAGE_TOKEN_INVALID,
        "the page token is not one for these arguments",
        violations=[FieldViolation("page_token", "must be the next_page_token of the same list")],
    )
