"""One line for every call that somebody should know of."""

import random
import time
from typing import ClassVar

import grpc
import structlog

from domain.errors import Reason
from server.call import find_caller, find_failure, find_trace_id
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Kind, Method
from server.interceptors.outcome import BUGS, SERVER_FAULTS, code_after

_REFUSALS = frozenset({Reason.OVERLOADED, Reason.DEADLINE_TOO_SHORT})
"""Why a server that has too much to do refuses calls before they cost anything."""


class Log(Interceptor):
    """Logs calls that fail by the server's fault, that are slow, and a sample of the others.

    Nothing of a request or of an answer is logged.
    """

    everywhere: ClassVar[bool] = True

    def __init__(self, *, slow_after: float, sample: float = 0.01) -> None:
        """Log calls.

        Args:
            slow_after: From how many seconds on a call is slow. A stream never is: it lasts for as
                long as its client wants.
            sample: Which part of the other calls to log, from 0 to 1.
        """
        self._slow_after = slow_after
        self._sample = sample
        self._log = structlog.get_logger("patron.calls")

    def wrap(self, method: Method, call: Call) -> Call:
        """Log the calls of the method."""
        slow_after = self._slow_after if method.kind is Kind.UNARY else float("inf")
        sample, clock, draw = self._sample, time.perf_counter, random.random

        async def logged(request: Payload, context: Context) -> Payload:
            begun = clock()
            try:
                answer = await call(request, context)
            except BaseException as error:
                seconds = clock() - begun
                code = code_after(error, context, seconds)
                if seconds >= slow_after or _is_news(code) or draw() < sample:
                    self._write(method, code, seconds, slow=seconds >= slow_after)
                raise
            seconds = clock() - begun
            if seconds >= slow_after or draw() < sample:
                self._write(method, grpc.StatusCode.OK, seconds, slow=seconds >= slow_after)
            return answer

        return logged

    def _write(self, method: Method, code: grpc.StatusCode, seconds: float, *, slow: bool) -> None:
        facts: dict[str, object] = {
            "method": method.full_name,
            "code": code.name,
            "milliseconds": round(seconds * 1000, 3),
        }
        if (caller := find_caller()) is not None:
            facts["merchant_id"] = str(caller.merchant_id)
        if (failure := find_failure()) is not None:
            facts["reason"] = failure.reason
            if failure.error_id is not None:
                facts["error_id"] = failure.error_id
        if (trace_id := find_trace_id()) is not None:
            facts["trace_id"] = trace_id
        if code in BUGS:
            self._log.error("call", **facts)
        elif slow or code in SERVER_FAULTS:
            self._log.warning("call", **facts)
        else:
            self._log.info("call", **facts)


def _is_news(code: grpc.StatusCode) -> bool:
    """Return whether a failure is the server's fault, and no refusal that spares it work.

    Of those there are the more the less the server can afford a line for each.
    """
    failure = find_failure()
    refused = failure is not None and failure.reason in _REFUSALS
    return code in SERVER_FAULTS and not refused
