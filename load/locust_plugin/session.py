"""A test of locust, as the process sees it that makes the report."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

import msgspec
import numpy as np

from load.calls import Call, Kind, Method, Moment, Payload
from load.errors import DataError
from load.jobs import Job, Pace, Ramp, Target
from load.locust_plugin.rows import Part
from load.recording import Recording, build_report
from load.records import Ended, Told
from load.report.model import Report

_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Named(Method):
    """Whatever was called, by the name that it has in the statistics of locust."""

    @property
    def full_name(self) -> str:
        """The name."""
        return self.name


class _Tasks:
    """Stands for the tasks: they know what is sent."""

    def payload(self, moment: Moment) -> Payload:
        """Refuse: only a task can make a call."""
        raise DataError(f"call {moment.number} is for a task of locust to make")


@dataclass(slots=True)
class _Process:
    busy: float = 0
    messages_sent: int = 0
    messages_received: int = 0


class Session:
    """Takes what processes tell of their calls, exactly: nothing is averaged or rounded."""

    def __init__(self) -> None:
        self._job = Job(Target("", None), calls=(), pace=Pace(workers=Ramp()))
        self._indexes: dict[str, int] = {}
        self._recording = Recording(self._job)
        self._parts = count()
        self._processes: dict[str, _Process] = {}
        self._began: int | None = None
        self._ended = 0
        self._scheduled = False

    @property
    def processes(self) -> Sequence[str]:
        """The ids of those that have told of calls."""
        return list(self._processes)

    def add(self, process: str, part: Part) -> None:
        """Take what a process told."""
        known = self._processes.setdefault(process, _Process())
        known.busy = part.busy
        known.messages_sent += part.messages_sent
        known.messages_received += part.messages_received
        self._scheduled = self._scheduled or part.scheduled
        if not part.names:
            return
        chunk = part.chunk()
        indexes = np.array([self._index(name) for name in part.names])
        chunk.call = array("q", indexes[np.array(chunk.call)].tobytes())
        ended = np.array(chunk.ended)
        began = int((ended - np.array(chunk.service)).min())
        self._began = began if self._began is None else min(began, self._began)
        self._ended = max(int(ended.max()), self._ended)
        # Each part has texts of its own, as if it came from another process.
        self._recording.add(Told(next(self._parts), chunk))

    def _index(self, name: str) -> int:
        if name not in self._indexes:
            self._indexes[name] = len(self._indexes)
            method = _Named("", name, Kind.UNARY, "", "", b"")
            call = Call(method, source=_Tasks())
            self._job = replace(self._job, calls=(*self._job.calls, call))
            self._recording.extend(self._job)
        return self._indexes[name]

    def report(self, options: Mapping[str, Any], *, reason: str, warnings: Sequence[str]) -> Report:
        """Return the report of the test, which is over.

        Args:
            options: As reports have them.
            reason: Why it ended: normal, cancel or timeout.
            warnings: What there is to say about it.
        """
        seconds = (self._ended - self._began) / _SECOND if self._began is not None else 0
        for process in self._processes.values():
            ended = Ended(
                reason=reason,
                seconds=seconds,
                dropped=0,
                busy=process.busy,
                messages_sent=process.messages_sent,
                messages_received=process.messages_received,
            )
            self._recording.add(Told(next(self._parts), ended))
        outcome = self._recording.result()
        report = build_report(outcome, self._job, options=options, warnings=warnings)
        if report.patron is None:
            raise AssertionError
        extra = msgspec.structs.replace(report.patron, scheduled=self._scheduled)
        return msgspec.structs.replace(report, patron=extra)
