"""The rules of the contract, held before a handler sees the request."""

import json
from collections.abc import AsyncIterator
from typing import Any

import protovalidate
from google.protobuf.message import Message

from domain.errors import FieldViolation, InvalidRequestError, Reason
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Method

_DESCRIPTIONS = {
    "enum.not_in": "must be one of the named values",
    "string.not_contains": "must not contain the character NUL",
}
"""What is said of a rule where the rule's own words are of no help."""


class Validation(Interceptor):
    """Refuses a request that breaks a rule of its message, naming every field that does."""

    def __init__(self) -> None:
        self._validator = protovalidate.Validator()

    def wrap(self, method: Method, call: Call) -> Call:
        """Validate the requests of the method."""

        async def validated(request: Payload, context: Context) -> Payload:
            self.check(request)
            return await call(request, context)

        async def validated_stream(request: Payload, context: Context) -> Payload:
            return await call(_Validated(request, self), context)

        return validated_stream if method.streams_requests else validated

    def check(self, request: Message) -> None:
        """Do nothing when the request keeps the rules.

        Raises:
            InvalidRequestError: It breaks at least one; the violations are all of them.
        """
        broken = self._validator.collect_violations(request)
        if not broken:
            return
        violations = [
            FieldViolation(_path(violation), _description(violation)) for violation in broken
        ]
        first = violations[0]
        raise InvalidRequestError(
            Reason.FIELD_INVALID,
            f"{first.field}: {first.description}" if first.field else first.description,
            violations=violations,
        )


class _Validated(AsyncIterator[Any]):
    """The messages of a stream of requests, up to the first that breaks a rule."""

    __slots__ = ("_requests", "_validation")

    def __init__(self, requests: AsyncIterator[Any], validation: Validation) -> None:
        self._requests = requests
        self._validation = validation

    async def __anext__(self) -> Payload:
        request = await anext(self._requests)
        self._validation.check(request)
        return request


def _description(violation: protovalidate.Violation) -> str:
    return _DESCRIPTIONS.get(violation.proto.rule_id) or violation.proto.message


def _path(violation: protovalidate.Violation) -> str:
    """Return the path of the field, such as `bill.lines[2].description`; empty for the message."""
    field = violation.proto.field
    if field is None:
        return ""
    return ".".join(
        element.field_name
        if element.subscript is None
        else f"{element.field_name}[{json.dumps(element.subscript.value)}]"
        for element in field.elements
    )
