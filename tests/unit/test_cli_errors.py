"""What the command line says of errors."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from domain.errors import AlreadyExistsError, Reason
from server.cli.errors import failure
from server.embedded import EmbeddedError
from server.settings import SettingsError


@pytest.fixture
def refused() -> Iterator[grpc.RpcError]:
    """An error as a client meets it, with every detail."""
    details = [
        ErrorInfo(reason="FIELD_INVALID", domain="patron.dev", metadata={"batch": "3"}),
        RequestInfo(request_id="r-1"),
        RetryInfo(),
        BadRequest(
            field_violations=[
                BadRequest.FieldViolation(field="bills[17].currency", description="must be USD")
            ]
        ),
    ]
    status = Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message="it is wrong")
    for detail in details:
        packed = Packed()
        packed.Pack(detail)
        status.details.append(packed)

    def refuse(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort_with_status(rpc_status.to_status(status))

    server = grpc.server(ThreadPoolExecutor(1))
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(refuse)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("x.Y", {"Z": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/x.Y/Z")
        try:
            call(b"")
        except grpc.RpcError as error:
            yield error
    server.stop(None).wait()


def test_a_refused_call_is_told_with_its_details(refused: grpc.RpcError) -> None:
    """One line has the code, the text, the reason, its facts and the fields."""
    told = failure(refused)
    assert told is not None
    assert told.message == (
        "INVALID_ARGUMENT: it is wrong; FIELD_INVALID, batch 3; id r-1; "
        "bills[17].currency must be USD"
    )
    assert told.exit_code == 1


@pytest.mark.parametrize(
    "error,message,status",
    [
        (SettingsError("PATRON_PORT", "is odd"), "PATRON_PORT is odd", 2),
        (EmbeddedError("no room"), "no room", 1),
        (AlreadyExistsError(Reason.BILL_ALREADY_EXISTS, "it is there"), "it is there", 1),
        (asyncpg.UndefinedTableError("no x"), "PostgreSQL: no x: run `patron db migrate`", 1),
        (ConnectionRefusedError(111, "refused"), "cannot connect: refused", 1),
        (PermissionError(13, "denied", "/x"), "[Errno 13] denied: '/x'", 1),
    ],
)
def test_an_expected_error_is_one_line(error: Exception, message: str, status: int) -> None:
    """The message says what happened, and the status tells wrong settings from failures."""
    told = failure(error)
    assert told is not None
    assert (told.message, told.exit_code) == (message, status)


def test_a_mistake_of_our_own_is_not_hidden() -> None:
    """An error that nobody expects keeps its traceback."""
    assert failure(KeyError("x")) is None
