"""How calls fail in a task."""

import grpc
from locust.exception import RescheduleTask

from load.records import STATUSES


class CallFailed(grpc.RpcError, RescheduleTask):
    """A call that did not end as OK; it has been counted as failed.

    It can be caught as an `grpc.RpcError`. If it isn't, the task ends as if it returned: locust
    writes no traceback, and goes on with the next task after the wait time.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        details: str,
        trailing_metadata: tuple[tuple[str, str | bytes], ...] = (),
    ) -> None:
        super().__init__(f"rpc error: code = {status_of(code)} desc = {details}")
        self._code = code
        self._details = details
        self._trailing_metadata = trailing_metadata

    def code(self) -> grpc.StatusCode:
        """Return the status code."""
        return self._code

    def details(self) -> str:
        """Return what the server, or gRPC, says about it."""
        return self._details

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return what the server sent in the end."""
        return self._trailing_metadata

    def __repr__(self) -> str:
        # Locust tells failures apart, and shows them, by this.
        return str(self)


def status_of(code: grpc.StatusCode) -> str:
    """Return the name that Go has for a code, such as `DeadlineExceeded`."""
    number: int = code.value[0]
    return STATUSES[number]
