"""What templates can use of the call that they are for.

Source: `runner/calldata.go` of ghz.
"""

import difflib
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from load.calls import Method, Moment
from load.errors import DataError

ROW: Final = "Row"
"""The row of a data file, by column."""


class Variables:
    """The variables that some templates use. Can be pickled."""

    def __init__(self, method: Method, names: Iterable[str], *, rows: bool = False) -> None:
        """Take the names that are used.

        Raises:
            DataError: There is no such variable.
        """
        of_method = _of_method(method)
        known = [*of_method, "WorkerID", "RequestNumber", "UUID", *_TIMES, *([ROW] if rows else [])]
        used = set(names)
        for name in sorted(used.difference(known)):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean .{near[0]}?" if near else f"; there is .{', .'.join(known)}"
            raise DataError(f"there is no variable .{name} for templates{hint}")
        self._fixed = of_method
        self._uuid = "UUID" in used
        self._times = [name for name in _TIMES if name in used]

    def at(self, moment: Moment) -> dict[str, object]:
        """Return their values for a call, those of its time and its UUID anew each time."""
        values = dict(self._fixed)
        values["WorkerID"] = moment.worker
        values["RequestNumber"] = moment.number
        if self._uuid:
            values["UUID"] = str(uuid.uuid4())
        if self._times:
            now = time.time_ns()
            for name in self._times:
                values[name] = _TIMES[name](now)
        return values


def changing(names: Iterable[str]) -> bool:
    """Return whether any of the variables has another value for another call, rows aside."""
    return any(name in _CHANGING for name in names)


def _of_method(method: Method) -> Mapping[str, object]:
    return {
        "FullyQualifiedName": method.full_name,
        "MethodName": method.name,
        "ServiceName": _last(method.service),
        "InputName": _last(method.input_type),
        "OutputName": _last(method.output_type),
        "IsClientStreaming": method.kind.client_streams,
        "IsServerStreaming": method.kind.server_streams,
    }


def _last(full_name: str) -> str:
    return full_name.rpartition(".")[2]


class _Clock:
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


_TIMES: Final[Mapping[str, Callable[[int], Any]]] = {
    "Timestamp": _Clock(),
    "TimestampUnix": lambda now: now // 1_000_000_000,
    "TimestampUnixMilli": lambda now: now // 1_000_000,
    "TimestampUnixNano": lambda now: now,
}
_CHANGING: Final = frozenset({"WorkerID", "RequestNumber", "UUID", *_TIMES})
