"""What processes that generate load tell of the calls that they have made."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

STATUSES: Final = (
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
)
"""The status codes by their number, in the names of Go."""


def _numbers() -> "array[int]":
    return array("q")


@dataclass(slots=True)
class Chunk:
    """The calls that ended in a part of a second, in that order: one element of each column."""

    ended: "array[int]" = field(default_factory=_numbers)
    """Nanoseconds since the epoch."""
    service: "array[int]" = field(default_factory=_numbers)
    """How long the call took, in nanoseconds: what ghz reports."""
    response: "array[int]" = field(default_factory=_numbers)
    """How long it took since it was meant to begin, in nanoseconds; never less than `service`."""
    call: "array[int]" = field(default_factory=_numbers)
    """The index of the call in the job."""
    status: "array[int]" = field(default_factory=_numbers)
    """The number of the status code."""
    error: "array[int]" = field(default_factory=_numbers)
    """The index of the text in `errors` of all chunks of the process; -1: none."""
    new_errors: list[str] = field(default_factory=list)
    """Texts that this process has not told of before; their indexes go on from the last one."""
    trailers: Mapping[tuple[int, str, str], int] = field(default_factory=dict)
    """How often a trailer had a value, by call, name and value."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a process tells in the end."""

    reason: str
    """normal, cancel or timeout."""
    seconds: float
    """How long it took, from the first call."""
    dropped: int
    """Calls that should have been begun in the time and were not."""
    busy: float
    """Which share of a core it used, at most about 1."""
    messages_sent: int = 0
    messages_received: int = 0
    failure: str = ""
    """What kept it from going on, such as data that makes no message; empty: nothing."""


@dataclass(frozen=True, slots=True)
class Told:
    """Something that a process told."""

    process: int
    what: Chunk | Ended
