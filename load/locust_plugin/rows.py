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
        response_time: float | None,
        exception: BaseException | str | None = None,
        context: object = None,
        **_: object,
    ) -> None:
        """Take a call that has just ended; the arguments are those of locust's request event.

        The context counts if the plugin has made the call, and a time that is None as 0.
        """
        ours = request_type in _KINDS
        # Others have contexts of their own, in which the same words mean something else.
        facts = context if ours and isinstance(context, Mapping) else {}
        status = facts.get("status")
        if status not in STATUSES:
            status = "Unknown" if exception else "OK"
        service = round((response_time or 0) * _NANOSECONDS)
        meant = _number(facts, "time_since_meant")
        # The clocks are read one after the other: a call that was on time is no shorter for it.
        response = max(service, round(meant * _NANOSECONDS))
        full_name = str(name) if ours else f"{request_type} {name}"
        error = str(exception) if exception else None
        # What cannot be a row has raised by now, and nothing is kept of it: columns stay aligned.
        times = array("q", (time.time_ns(), service, response))
        self._scheduled = self._scheduled or meant > 0
        self._sent += round(_number(facts, "messages_sent"))
        self._received += round(_number(facts, "messages_received"))
        row = (
            *times,
            self._names.setdefault(full_name, len(self._names)),
            STATUSES.index(status),
            -1 if error is None else self._errors.setdefault(error, len(self._errors)),
        )
        for name_of_column, value in zip(_COLUMNS, row, strict=True):
            getattr(self._chunk, name_of_column).append(value)

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


def _number(facts: Mapping[str, Any], name: str) -> float:
    number = facts.get(name)
    return number if isinstance(number, int | float) else 0
