"""How a call ended, in the words of Go's gRPC."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from grpc import StatusCode

from load.records import STATUSES


class Outcome(NamedTuple):
    """How a call ended."""

    status: int
    """The number of the status code."""
    error: str = ""
    """As Go tells an error; empty: none."""
    sent: int = 1
    """How many messages were."""
    received: int = 0
    trailers: Sequence[tuple[str, str]] = ()
    """Those that are counted, with their values."""


def _outcome(status: str, details: str) -> Outcome:
    return Outcome(STATUSES.index(status), f"rpc error: code = {status} desc = {details}")


ANSWERED: Final = Outcome(0, received=1)
"""One message was sent, and one has come back."""
CANCELLED: Final = _outcome("Canceled", "context canceled")
"""The client ended a stream of the server's."""
CUT_OFF: Final = _outcome(
    "Unavailable", "error reading from server: use of closed network connection"
)
"""The run was over. Go adds the addresses, which makes each connection an error of its own."""
STREAM_CUT_OFF: Final = _outcome("Canceled", "grpc: the client connection is closing")
"""The same of a call with streams, which Go ends before it closes the connection."""
STOPPED: Final = "the user was stopped"
USER_STOPPED: Final = _outcome("Unavailable", STOPPED)
"""The same of a call that a user of locust was in."""
ENDED_BY_THE_RUN: Final = (CUT_OFF, STREAM_CUT_OFF, USER_STOPPED)
"""Of calls in flight at the end: no fault of the server's."""
_LATE: Final = _outcome("DeadlineExceeded", "context deadline exceeded")
_LATE_HERE: Final = ("Deadline Exceeded", "Stream removed (Deadline Exceeded)")
"""The same in the words of gRPC's C core."""


def outcome_of(code: StatusCode, details: str | None) -> Outcome:
    """Return how a call ended that failed, as far as this tells."""
    status, _ = code.value
    if status == _LATE.status and details in _LATE_HERE:
        return _LATE
    return _outcome(STATUSES[status], details or "")
