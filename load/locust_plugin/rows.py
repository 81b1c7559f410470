"""The calls that a process of locust has made, on their way to the one that makes the report."""

import time
import zlib
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from load.calls import Kind
from load.records import STATUSES, Chunk

_NANOSECONDS: Final = 1_000_000
"""In a millisecond, in which locust counts."""
_COLUMNS: Final = ("ended", "service", "response", "call", "status", "error")
_KINDS: Final = frozenset(kind.value for kind in Kind)
_FAST: Final = 1


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The calls that ended since the process told of some the last time.

    It can be read without the parts before it, of which one may get lost.
    """

    names: Sequence[str]
    """Of the calls, by the index that `columns` has."""
    errors: Sequence[str]
    """The texts, likewise."""
    columns: bytes
    """Those of a `Chunk`, one after the other, compressed."""
    messages_sent: int
    messages_received: int
    busy: float
    """Which share of a core the process has used since the test began."""
    scheduled: bool
    """Whether any of the calls was meant to begin at some time."""

    def chunk(self) -> Chunk:
        """Return the calls."""
        numbers = array("q", zlib.decompress(self.columns))
        size = len(numbers) // len(_COLUMNS)
        columns = (numbers[size * index : size * (index + 1)] for index in range(len(_COLUMNS)))
        ended, service, response, call, status, error = columns
        return Chunk(ended, service, response, call, status, error, list(self.errors))


class Rows:
    """Collects calls from the request events of locust, of whatever users."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._used = time.process_time()
        self._clear()

    def _clear(self) -> None:
        self._chunk = Chunk()
        self._names: dict[str, int] = {}
        self._errors: dict[str, int] = {}
        self._sent = 0
        self._received = 0
        self._scheduled = False

    def __len__(self) -> int:
        return len(self._chunk.ended)

    def add(
        self,
        request_type: str,
        name: str,
        response_time: float,
        exception: BaseException | str | None = None,
        context: Mapping[str, Any] | None = None,
        **_: object,
    ) -> None:
        """Take a call that has just ended; the arguments are those of locust's request event."""
        context = context or {}
        service = round(response_time * _NANOSECONDS)
        meant = context.get("time_since_meant")
        status = context.get("status") or ("Unknown" if exception else "OK")
        self._scheduled = self._scheduled or meant is not None
        self._sent += context.get("messages_sent", 0)
        self._received += context.get("messages_received", 0)
        full_name = name if request_type in _KINDS else f"{request_type} {name}"
        chunk = self._chunk
        chunk.ended.append(time.time_ns())
        chunk.service.append(service)
        # The clocks are read one after the other: a call that was on time is no shorter for it.
        chunk.response.append(max(service, round((meant or 0) * _NANOSECONDS)))
        chunk.call.append(self._names.setdefault(full_name, len(self._names)))
        chunk.status.append(STATUSES.index(status))
        chunk.error.append(
            self._errors.setdefault(str(exception), len(self._errors)) if exception else -1
        )

    def take(self) -> Part:
        """Return the calls since the last time."""
        part = Part(
            names=list(self._names),
            errors=list(self._errors),
            columns=zlib.compress(
                b"".join(getattr(self._chunk, name).tobytes() for name in _COLUMNS), _FAST
            ),
            messages_sent=self._sent,
            messages_received=self._received,
            busy=(time.process_time() - self._used) / (time.perf_counter() - self._began),
            scheduled=self._scheduled,
        )
        self._clear()
        return part
