"""What is kept of a run while it goes on: the same few numbers, however long it takes."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from load.jobs import Job
from load.recording.columns import Columns
from load.recording.details import DetailKeeper, Details
from load.recording.errors import ErrorTexts
from load.recording.recent import Progress, Recent
from load.recording.skipping import Skipping
from load.recording.tallies import Tally
from load.recording.timeline import Timeline
from load.records import STATUSES, Chunk, Ended, Told
from load.report.model import Second

_SECOND: Final = 1_000_000_000
_LATE: Final = 10_000_000
_BATCH: Final = 65_536
"""How many calls are counted at once: each batch costs the same few milliseconds."""
_UNKNOWN: Final = STATUSES.index("Unknown")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    total: Tally
    calls: Sequence[Tally]
    """In the order of the job."""
    errors: Mapping[str, int]
    """How often each text was seen, by text."""
    too_many_errors: bool
    """Whether there were more different texts than are kept."""
    details: Details
    timeline: Sequence[Second]
    end_reason: str
    seconds: float
    """How long it took, from the first call."""
    late: int
    dropped: int
    busy: float
    processes: int
    messages_sent: int
    messages_received: int
    failure: str
    """What kept it from going on; empty: nothing."""
    count_errors: bool
    """Whether durations are also those of calls that failed."""


class Recording:
    """Takes what processes tell, and keeps what a report needs."""

    def __init__(
        self,
        job: Job,
        skip_first: int = 0,
        *,
        count_errors: bool = False,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Begin to record.

        Args:
            job: What is done.
            skip_first: How many calls are not counted: those that end first.
            count_errors: Whether the durations of calls that failed count.
            clock: Tells the time, in nanoseconds since the epoch.
        """
        self._job = job
        self._count_errors = count_errors
        self._clock = clock
        self._errors = ErrorTexts()
        self._error_counts = np.zeros(0, dtype=np.int64)
        self._skipping = Skipping(skip_first)
        self._waiting: list[Columns] = []
        self._waiting_count = 0
        self._tallies = [Tally() for _ in job.calls]
        self._details = DetailKeeper()
        self._recent = Recent()
        self._began: int | None = None
        self._timeline: Timeline | None = None
        self._late = 0
        self._done = 0
        self._failed = 0
        self._ended: list[Ended] = []

    def extend(self, job: Job) -> None:
        """Take a job that has more calls, behind those that are known."""
        self._tallies += (Tally() for _ in job.calls[len(self._tallies) :])
        self._job = job

    def add(self, told: Told) -> None:
        """Take what a process told."""
        match told.what:
            case Chunk() as chunk:
                self._errors.learn(told.process, chunk.new_errors)
                self._add_trailers(chunk)
                if chunk.ended:
                    self._add_calls(self._columns(told.process, chunk))
            case Ended() as ended:
                self._ended.append(ended)

    def _columns(self, process: int, chunk: Chunk) -> Columns:
        ended, service, response, call, status, error = (
            np.frombuffer(column, dtype=np.int64)
            for column in (
                chunk.ended,
                chunk.service,
                chunk.response,
                chunk.call,
                chunk.status,
                chunk.error,
            )
        )
        known = np.where(status < len(STATUSES), status, _UNKNOWN)
        return Columns(ended, service, response, call, known, self._errors.indexes(process, error))

    def _add_trailers(self, chunk: Chunk) -> None:
        for (call, name, value), count in chunk.trailers.items():
            self._tallies[call].trailers.setdefault(name, Counter())[value] += count

    def _add_calls(self, calls: Columns) -> None:
        if self._began is None:
            self._began = int((calls.ended - calls.service).min())
        self._done += len(calls)
        self._failed += int((calls.error >= 0).sum())
        self._recent.add(calls)
        self._keep(self._skipping.add(calls))

    def _keep(self, calls: Columns | None) -> None:
        if calls is None:
            return
        self._details.add(calls)
        self._waiting.append(calls)
        self._waiting_count += len(calls)
        if self._waiting_count >= _BATCH:
            self._count()

    def _count(self) -> None:
        if not self._waiting:
            return
        calls = Columns.together(self._waiting)
        self._waiting.clear()
        self._waiting_count = 0
        failed = calls.error >= 0
        timed = np.ones_like(failed) if self._count_errors else ~failed
        for index, tally in enumerate(self._tallies):
            mine = calls.call == index
            if mine.any():
                tally.add(calls.chosen(mine), calls.chosen(mine & timed))
        if self._timeline is None:
            self._timeline = Timeline(self._began or 0)
        self._timeline.add(calls, calls.chosen(timed))
        self._late += int((calls.response - calls.service > _LATE).sum())
        seen = np.bincount(calls.error[failed], minlength=len(self._error_counts))
        seen[: len(self._error_counts)] += self._error_counts
        self._error_counts = seen

    def progress(self) -> Progress:
        """Return how far the run is."""
        now = self._clock()
        rate, p95 = self._recent.rate_and_p95(now)
        return Progress(
            done=self._done,
            total=self._job.pace.total,
            seconds=(now - self._began) / _SECOND if self._began is not None else 0,
            duration=self._job.pace.duration,
            rate=rate,
            errors=self._failed,
            p95=p95,
        )

    def result(self) -> Outcome:
        """Return what came of the run, which is over."""
        self._keep(self._skipping.rest())
        self._count()
        total = Tally()
        for tally in self._tallies:
            total.merge(tally)
        texts = self._errors.texts
        counts = self._error_counts.tolist()
        ended = self._ended
        reasons = {each.reason for each in ended}
        return Outcome(
            total=total,
            calls=self._tallies,
            errors={texts[index]: count for index, count in enumerate(counts) if count},
            too_many_errors=self._errors.too_many,
            details=self._details.kept(texts),
            timeline=self._timeline.seconds() if self._timeline else [],
            end_reason=next((each for each in ("cancel", "timeout") if each in reasons), "normal"),
            seconds=max((each.seconds for each in ended), default=0),
            late=self._late,
            dropped=sum(each.dropped for each in ended),
            busy=max((each.busy for each in ended), default=0),
            processes=len(ended),
            messages_sent=sum(each.messages_sent for each in ended),
            messages_received=sum(each.messages_received for each in ended),
            failure=next((each.failure for each in ended if each.failure), ""),
            count_errors=self._count_errors,
        )
