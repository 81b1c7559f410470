"""How a call ended that raised."""

import time

import grpc
import grpc.aio

from server.interceptors.deadline import deadline_of
from server.interceptors.interceptor import Context

BUGS = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})
"""Codes that no call may end with."""

SERVER_FAULTS = BUGS | {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
"""Codes of failures that are not the client's doing."""

_CLOCK_SLACK = 0.02
"""How many seconds before its deadline by the server's clock a client may have given up."""

_ROUNDING = 0.01
"""A deadline travels as three digits, rounded up, so the client's own is up to 1 % earlier."""


def deadline_is_over(context: Context, elapsed: float = 0.0) -> bool:
    """Return whether the client's deadline has passed, `elapsed` seconds after the call began."""
    return deadline_of(context) - time.monotonic() <= _CLOCK_SLACK + _ROUNDING * elapsed


def code_after(error: BaseException, context: Context, elapsed: float) -> grpc.StatusCode:
    """Return the code of a call that ended with `error`, `elapsed` seconds after it began.

    The context knows the code of an abort only: after the client's cancellation or deadline it has
    none.
    """
    if isinstance(error, grpc.aio.AbortError):
        return context.code()
    if deadline_is_over(context, elapsed):
        return grpc.StatusCode.DEADLINE_EXCEEDED
    return grpc.StatusCode.CANCELLED
