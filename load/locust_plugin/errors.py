"""How calls fail in a task."""

import grpc
from locust.exception import RescheduleTask

from load.calls import Metadata
from load.engine.outcomes import outcome_of
from load.records import STATUSES


class CallFailed(grpc.RpcError, RescheduleTask):
    """A call that did not end as OK; it has been counted. Its text is what ghz would report.

    It can be caught as a `grpc.RpcError`. If nobody does, the task ends as if it had returned:
    locust writes no traceback, and goes on with the next task after the wait time.
    """

    def __init__(
        self, code: grpc.StatusCode, details: str, trailing_metadata: Metadata = ()
    ) -> None:
        self._code = code
        self._details = details
        self._trailing_metadata = trailing_metadata
        outcome = outcome_of(code, details)
        super().__init__(outcome.error)
        self.status = STATUSES[outcome.status]
        """The name that Go has for the code, such as `DeadlineExceeded`."""

    def code(self) -> grpc.StatusCode:
        """Return the status code."""
        return self._code

    def details(self) -> str:
        """Return what the server, or gRPC, says about it."""
        return self._details

    def trailing_metadata(self) -> Metadata:  # type: ignore[override]  # Of the stubs, a private type.
        """Return what the server sent in the end."""
        return self._trailing_metadata

    def __repr__(self) -> str:
        # By this locust tells failures apart, and shows them.
        return str(self)
