"""How a run went over time, in parts of it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from load.report.go_text import nanoseconds
from load.report.latencies import counted
from load.report.model import Detail, Report, Second

_FEW_PARTS: Final = 10
"""With fewer than so many parts, the calls one by one tell more, where they are there."""
_MOST_PARTS: Final = 60
_CALLS_IN_A_PART: Final = 10
_NS_PER_S: Final = 1_000_000_000
_PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}

_Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a run, and the calls that ended in it. Times of the run are in seconds."""

    begin: float
    end: float
    count: int
    errors: int
    service: Mapping[str, int]
    """p50, p95, p99 and max of those that percentiles are of, in nanoseconds; of none: empty."""
    response: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OverTime:
    """The parts of a run. The last one may be shorter than the others."""

    length: float
    """How long a part is, in seconds."""
    parts: Sequence[Part]

    @property
    def end(self) -> float:
        """When the run was over, in seconds since its beginning."""
        return self.parts[-1].end


def over_time(report: Report) -> OverTime | None:
    """Return how a run went; of ghz's reports, and of short runs, from the calls one by one.

    None: nothing tells of it.
    """
    extra = report.patron
    if extra and (extra.scheduled or len(extra.timeline) >= _FEW_PARTS or not report.details):
        return _of_timeline(extra.timeline, report.total / _NS_PER_S)
    return _of_details(report.details, counted(report)) if report.details else None


def _of_timeline(timeline: Sequence[Second], total: float) -> OverTime | None:
    if not timeline:
        return None
    starts = [second.at for second in timeline]
    steps = [later - before for before, later in pairwise(starts)]
    length = min(steps) if steps and min(steps) > 0 else max(1.0, math.ceil(total - starts[0]))
    parts = [
        Part(
            begin=second.at,
            end=second.at + length,
            count=second.count,
            errors=second.errors,
            service=second.service,
            response=second.response,
        )
        for second in timeline
    ]
    last = parts[-1]
    if last.begin < total < last.end:
        parts[-1] = Part(last.begin, total, last.count, last.errors, last.service, last.response)
    return OverTime(length, parts)


def _of_details(details: Sequence[Detail], counts: Callable[[Detail], bool]) -> OverTime:
    ended = [nanoseconds(call.timestamp) for call in details]
    began = min(end - call.latency for end, call in zip(ended, details, strict=True))
    since = np.array([end - began for end in ended], np.float64) / _NS_PER_S
    latencies = np.array([call.latency for call in details], np.int64)
    wrong = np.array([bool(call.error) for call in details])
    timed = np.array([counts(call) for call in details])
    total = float(since.max())
    wanted = min(_MOST_PARTS, max(1, len(details) // _CALLS_IN_A_PART))
    length = _round_length(total / wanted)
    part_of = np.minimum(since // length, max(0, math.ceil(total / length) - 1)).astype(np.int64)
    parts = []
    for index in range(int(part_of.max()) + 1):
        inside = part_of == index
        parts.append(
            Part(
                begin=index * length,
                end=min((index + 1) * length, max(total, length / 2)),
                count=int(inside.sum()),
                errors=int(wrong[inside].sum()),
                service=_percentiles(latencies[inside & timed]),
                response={},
            )
        )
    return OverTime(length, parts)


def _round_length(least: float) -> float:
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= least * (1 - 1e-9))


def _percentiles(latencies: _Integers) -> Mapping[str, int]:
    if not latencies.size:
        return {}
    ordered = np.sort(latencies)
    return {
        name: int(ordered[math.ceil(round(share * ordered.size, 6)) - 1])
        for name, share in _PERCENTILES.items()
    }
