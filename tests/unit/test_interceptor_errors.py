"""What reaches grpc when something goes wrong while something goes wrong."""

from typing import Any, NoReturn

import grpc
import grpc.aio
import pytest

from domain.errors import PatronError, Reason
from server.interceptors.errors import Errors
from server.interceptors.method import Method

METHOD = Method.describe(
    "/patron.bill.v1.BillService/GetBill",
    grpc.unary_unary_rpc_method_handler(lambda _request, _context: None),
)


class Context:
    """Keeps the status that the call is aborted with."""

    status: Any = None

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        self.status = status
        raise grpc.aio.AbortError

    def time_remaining(self) -> None:
        return None


async def status_after(error: BaseException, capture: Any) -> Any:
    """Return the status of a call that raises the error."""

    async def call(_request: object, _context: object) -> None:
        raise error

    context: Any = Context()
    with pytest.raises(grpc.aio.AbortError):
        await Errors(capture, lambda _: None).wrap(METHOD, call)(b"", context)
    return context.status


async def test_a_report_that_fails_leaks_nothing() -> None:
    """When the report of an unexpected error fails, the client still gets INTERNAL alone."""

    def capture(*_: object) -> None:
        raise OSError("secret")

    status = await status_after(ValueError("secret"), capture)

    assert (status.code, status.details) == (grpc.StatusCode.INTERNAL, "internal error")


async def test_an_error_outside_the_table_is_unexpected() -> None:
    """An error that the table doesn't know is reported and INTERNAL, not sent as it is."""
    captured: list[BaseException] = []

    def capture(error: BaseException, *_: object) -> None:
        captured.append(error)

    error = PatronError(Reason.UNEXPECTED, "secret")
    status = await status_after(error, capture)

    assert (status.code, status.details) == (grpc.StatusCode.INTERNAL, "internal error")
    assert captured == [error]


async def test_misuse_of_grpc_is_unexpected() -> None:
    """Misuse of grpc's interface is a bug; that the call has ended is not."""
    captured: list[BaseException] = []

    def capture(error: BaseException, *_: object) -> None:
        captured.append(error)

    await status_after(grpc.aio.UsageError("already sent"), capture)
    assert len(captured) == 1

    async def ended(_request: object, _context: object) -> None:
        raise grpc.aio.InternalError("the client is gone")

    context: Any = Context()
    with pytest.raises(grpc.aio.InternalError):
        await Errors(capture, lambda _: None).wrap(METHOD, ended)(b"", context)
    assert len(captured) == 1
    assert context.status is None
