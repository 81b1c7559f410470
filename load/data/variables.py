"""What templates can use of the call that they are for.

Source: `runner/calldata.go` of ghz.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from load.calls import Method, Moment
from load.templates.functions.randoms import new_uuid

ROW: Final = "Row"
"""The row of a data file, by column."""
_CHANGING: Final = frozenset(
    {
        "WorkerID",
        "RequestNumber",
        "Timestamp",
        "TimestampUnix",
        "TimestampUnixMilli",
        "TimestampUnixNano",
        "UUID",
    }
)


class Variables:
    """The variables that templates can use. Can be pickled."""

    def __init__(self, method: Method) -> None:
        self._of_method: Mapping[str, object] = {
            "FullyQualifiedName": method.full_name,
            "MethodName": method.name,
            "ServiceName": _last(method.service),
            "InputName": _last(method.input_type),
            "OutputName": _last(method.output_type),
            "IsClientStreaming": method.kind.client_streams,
            "IsServerStreaming": method.kind.server_streams,
        }

    def at(self, moment: Moment) -> dict[str, object]:
        """Return their values for a call, with the time that it is, and a new UUID."""
        now = time.time_ns()
        return {
            **self._of_method,
            "WorkerID": moment.worker,
            "RequestNumber": moment.number,
            "Timestamp": _CLOCK(now),
            "TimestampUnix": now // 1_000_000_000,
            "TimestampUnixMilli": now // 1_000_000,
            "TimestampUnixNano": now,
            "UUID": new_uuid(),
        }


def changing(names: Iterable[str]) -> bool:
    """Return whether any of these variables has another value for another call, rows aside."""
    return not _CHANGING.isdisjoint(names)


def _last(full_name: str) -> str:
    return full_name.rpartition(".")[2]


class Clock:
    """Tells the time as Go prints it, once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, nanoseconds: int) -> str:
        """Return the time in RFC 3339, in the time zone of this machine."""
        second = nanoseconds // 1_000_000_000
        if second != self._second:
            local = datetime.fromtimestamp(second).astimezone()
            text = local.isoformat(timespec="seconds")
            self._text = text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
            self._second = second
        return self._text


_CLOCK: Final = Clock()
