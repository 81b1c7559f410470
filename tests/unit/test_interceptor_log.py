"""Which calls are logged."""

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from domain.errors import Reason
from server.call import Failure, set_failure
from server.interceptors.log import Log
from server.interceptors.method import Method

METHOD = Method.describe(
    "/patron.bill.v1.BillService/GetBill",
    grpc.unary_unary_rpc_method_handler(lambda _request, _context: None),
)
STREAM = Method.describe(
    "/patron.bill.v1.BillService/ImportBills",
    grpc.stream_unary_rpc_method_handler(lambda _requests, _context: None),
)


class Context:
    """The context of a call that was aborted with this code."""

    def __init__(self, code: grpc.StatusCode | None) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode | None:
        return self._code


async def lines(
    log: Log, *, code: grpc.StatusCode | None = None, method: Method = METHOD, seconds: float = 0
) -> list[MutableMapping[str, Any]]:
    """Return what is logged of a call that ends so."""

    async def call(_request: object, _context: object) -> bytes:
        await asyncio.sleep(seconds)
        if code is not None:
            raise grpc.aio.AbortError
        return b"answer"

    context: Any = Context(code)
    with capture_logs() as logs, suppress(grpc.aio.AbortError):
        await log.wrap(method, call)(b"request", context)
    return logs


@pytest.mark.parametrize(
    "code, level",
    [
        (grpc.StatusCode.INTERNAL, "error"),
        (grpc.StatusCode.UNKNOWN, "error"),
        (grpc.StatusCode.DATA_LOSS, "error"),
        (grpc.StatusCode.UNAVAILABLE, "warning"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "warning"),
    ],
)
async def test_logs_faults_of_the_server(code: grpc.StatusCode, level: str) -> None:
    """Every failure that is the server's fault is logged."""
    [line] = await lines(Log(slow_after=1, sample=0), code=code)

    assert line["log_level"] == level
    assert (line["method"], line["code"]) == (METHOD.full_name, code.name)
    assert line["milliseconds"] >= 0


@pytest.mark.parametrize(
    "code, reason, logged",
    [
        (grpc.StatusCode.UNAVAILABLE, Reason.OVERLOADED, 0),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.DEADLINE_TOO_SHORT, 0),
        (grpc.StatusCode.UNAVAILABLE, Reason.DEPENDENCY_UNAVAILABLE, 1),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED, 1),
    ],
)
async def test_logs_no_refusal_of_a_busy_server(
    code: grpc.StatusCode, reason: Reason, logged: int
) -> None:
    """A server with too much to do does not write a line for each call that it refuses."""

    async def refused() -> list[MutableMapping[str, Any]]:
        set_failure(Failure(reason))
        return await lines(Log(slow_after=1, sample=0), code=code)

    assert len(await asyncio.create_task(refused())) == logged


async def test_logs_no_other_failure() -> None:
    """A failure that is the client's fault is none of the operators' business."""
    assert await lines(Log(slow_after=1, sample=0), code=grpc.StatusCode.NOT_FOUND) == []


async def test_logs_slow_calls() -> None:
    """A slow call is logged; a stream is as slow as its client wants."""
    log = Log(slow_after=0.01, sample=0)
    [line] = await lines(log, seconds=0.02)

    assert (line["log_level"], line["code"]) == ("warning", "OK")
    assert await lines(log, method=STREAM, seconds=0.02) == []


async def test_logs_a_sample() -> None:
    """Of the other calls the asked part is logged."""
    [line] = await lines(Log(slow_after=1, sample=1))

    assert (line["log_level"], line["code"]) == ("info", "OK")
    assert await lines(Log(slow_after=1, sample=0)) == []
