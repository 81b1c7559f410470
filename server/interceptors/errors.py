"""The only place that knows status codes: an error becomes the status that the client gets."""

import asyncio
import uuid
from collections.abc import Callable
from typing import ClassVar, NoReturn, TypeAlias

import grpc
import grpc.aio
import structlog
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import (
    BadRequest,
    ErrorInfo,
    QuotaFailure,
    RequestInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from domain.errors import (
    ERROR_DOMAIN,
    AbortedError,
    AlreadyExistsError,
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidRequestError,
    NotFoundError,
    PatronError,
    PermissionDeniedError,
    Reason,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)
from server.call import Failure, set_failure
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Method
from server.interceptors.outcome import deadline_is_over
from server.logs import describe_exception

CODES: dict[type[PatronError], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    AbortedError: grpc.StatusCode.ABORTED,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    ResourceExhaustedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    FailedPreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    DeadlineExceededError: grpc.StatusCode.DEADLINE_EXCEEDED,
    UnimplementedError: grpc.StatusCode.UNIMPLEMENTED,
}
"""The status code of every class of errors; a subclass has its nearest ancestor's."""

Capture: TypeAlias = Callable[[BaseException, str, str], None]
"""Reports an unexpected exception, with its opaque id and the full name of the method."""

Note: TypeAlias = Callable[[BaseException], None]
"""Counts an unexpected exception of the call that is being served; never fails, and asks nobody."""

_VIOLATIONS_SIZE = 4096
"""How many bytes of field violations a status carries: clients refuse trailers over 8 KiB."""


class Errors(Interceptor):
    """Ends a call that raises with a `google.rpc.Status`, and reports what nobody expected."""

    everywhere: ClassVar[bool] = True

    def __init__(self, capture: Capture, note: Note) -> None:
        self._capture = capture
        self._note = note
        self._log = structlog.get_logger("patron.errors")

    def wrap(self, method: Method, call: Call) -> Call:
        """Translate the errors of the method."""

        async def translated(request: Payload, context: Context) -> Payload:
            try:
                return await call(request, context)
            except (Exception, asyncio.CancelledError) as error:
                if _is_end_of_call(error):
                    raise
                known = _meaning(error, context)
                if known is None or (code := code_of(type(known))) is None:
                    return await self._abort_unexpected(method, context, error)
                set_failure(Failure(known.reason))
                return await _abort(context, code, known.message, _details(known))

        return translated

    def _report(self, method: Method, error: BaseException, error_id: str) -> None:
        self._note(error)
        try:
            self._log.error(
                "unexpected error",
                method=method.full_name,
                error_id=error_id,
                error=describe_exception(error),
            )
        finally:
            # Also when there is nowhere to log to.
            self._capture(error, error_id, method.full_name)

    async def _abort_unexpected(
        self, method: Method, context: Context, error: BaseException
    ) -> NoReturn:
        error_id = uuid.uuid4().hex
        set_failure(Failure(Reason.UNEXPECTED, error_id))
        try:
            self._report(method, error, error_id)
        finally:
            # Also when it cannot be reported: grpc would send the text of whatever else is raised.
            await _abort(
                context,
                grpc.StatusCode.INTERNAL,
                "internal error",
                [
                    ErrorInfo(reason=Reason.UNEXPECTED, domain=ERROR_DOMAIN),
                    RequestInfo(request_id=error_id),
                ],
            )


def code_of(kind: type[PatronError]) -> grpc.StatusCode | None:
    """Return the status code of a class of errors; None when no ancestor of it is in the table."""
    return next((CODES[cls] for cls in kind.__mro__ if cls in CODES), None)


def _is_end_of_call(error: BaseException) -> bool:
    """Return whether the transport has ended the call and told the client, if there is one."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, grpc.aio.BaseError) and not isinstance(error, grpc.aio.UsageError)


def _meaning(error: BaseException, context: Context) -> PatronError | None:
    """Return what the error means to the client; None when nobody expected it."""
    if isinstance(error, PatronError):
        return error
    if isinstance(error, asyncio.CancelledError):
        # What the call waited for was cancelled, not the call: grpc.aio would never answer it.
        return UnavailableError(Reason.SERVER_STOPPING, "the server is stopping")
    if isinstance(error, TimeoutError) and deadline_is_over(context):
        return DeadlineExceededError(
            Reason.DEADLINE_EXCEEDED, "the deadline passed before the work was done"
        )
    return None


async def _abort(
    context: Context, code: grpc.StatusCode, message: str, details: list[Message]
) -> NoReturn:
    status = Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    await context.abort_with_status(rpc_status.to_status(status))


def _details(error: PatronError) -> list[Message]:
    details: list[Message] = [
        ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata)
    ]
    if error.violations:
        details.append(_bad_request(error))
    if isinstance(error, ResourceExhaustedError):
        violation = QuotaFailure.Violation(subject=error.subject, description=error.message)
        details.append(QuotaFailure(violations=[violation]))
    if (
        isinstance(error, AbortedError | UnavailableError | ResourceExhaustedError)
        and error.retry_after is not None
    ):
        delay = Duration()
        delay.FromNanoseconds(round(error.retry_after * 1_000_000_000))
        details.append(RetryInfo(retry_delay=delay))
    return details


def _bad_request(error: PatronError) -> BadRequest:
    request = BadRequest()
    size = 0
    for violation in error.violations:
        size += len(violation.field) + len(violation.description)
        if size > _VIOLATIONS_SIZE and request.field_violations:
            break
        request.field_violations.add(field=violation.field, description=violation.description)
    return request
