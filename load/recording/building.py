"""From what came of a run to its report."""

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from load.jobs import Job, Shape
from load.recording.columns import Numbers
from load.recording.details import MOST as MOST_DETAILS
from load.recording.distribution import bars, latencies
from load.recording.errors import MOST as MOST_TEXTS
from load.recording.machine import this_machine
from load.recording.recording import Outcome
from load.recording.tallies import Tally
from load.report.go_text import instant
from load.report.model import CallReport, Extra, Report

_SECOND: Final = 1_000_000_000
_BUSY: Final = 0.9
_SHORT: Final = 0.5
"""Seconds of a run that shows nothing of what its load takes: it is just beginning."""


def build_report(
    outcome: Outcome,
    job: Job,
    *,
    options: Mapping[str, Any],
    scenario: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    calibration: float | None = None,
    warnings: Sequence[str] = (),
) -> Report:
    """Return the report of a run that has just ended.

    Args:
        outcome: What came of it.
        job: What was done.
        options: As reports have them: see `load.report.options.options_of`.
        scenario: What was asked for, if it was a scenario.
        tags: What its owner says of it.
        calibration: How many calls per second a bare echo took just before.
        warnings: What there is to say of it already.
    """
    total = outcome.total
    durations, counts = _durations(outcome)
    fastest, slowest = total.service.fastest, total.service.slowest
    return Report(
        date=instant(time.time_ns()),
        name=job.name,
        end_reason=outcome.end_reason,
        options=options,
        count=total.count,
        total=round(outcome.seconds * _SECOND),
        average=total.service_sum // total.count if total.count else 0,
        fastest=fastest,
        slowest=slowest,
        rps=_rate(total, outcome),
        error_distribution=outcome.errors,
        status_code_distribution=total.statuses,
        latency_distribution=latencies(durations, counts) if len(durations) else None,
        histogram=(
            bars(durations, counts, fastest=fastest, slowest=slowest) if len(durations) else None
        ),
        details=outcome.details or None,
        tags=tags,
        patron=Extra(
            version=version("patron"),
            machine=this_machine(),
            processes=outcome.processes,
            generator_busy=outcome.busy,
            late=outcome.late,
            dropped=outcome.dropped,
            scheduled=_scheduled(job),
            service=total.service.clock(),
            response=total.response.clock(),
            calls=[
                CallReport(
                    call=call.method.full_name,
                    count=tally.count,
                    rps=_rate(tally, outcome),
                    errors=tally.errors,
                    statuses=tally.statuses,
                    cut_off=tally.cut_off,
                    service=tally.service.clock(),
                    response=tally.response.clock(),
                    trailers=tally.trailers,
                )
                for call, tally in zip(job.calls, outcome.calls, strict=True)
            ],
            timeline=outcome.timeline,
            scenario=scenario,
            messages_sent=outcome.messages_sent,
            messages_received=outcome.messages_received,
            calibration=calibration,
            failure=outcome.failure,
            warnings=[*warnings, *_warnings(outcome)],
        ),
    )


def _durations(outcome: Outcome) -> tuple[Numbers, Numbers]:
    """Return the durations that percentiles are made of, and how often each was seen.

    They are exact as long as there are details of all calls; then those of the HdrHistogram.
    """
    if outcome.total.count > len(outcome.details):
        return outcome.total.service.histogram.recorded()
    durations = outcome.details.durations(with_errors=outcome.count_errors)
    return durations, np.ones_like(durations)


def _rate(tally: Tally, outcome: Outcome) -> float:
    return tally.count / outcome.seconds if outcome.seconds else 0


def _scheduled(job: Job) -> bool:
    rate = job.pace.rate
    return rate.shape is not Shape.CONST or rate.start > 0 or job.pace.every is not None


def _warnings(outcome: Outcome) -> list[str]:
    told = []
    if outcome.failure:
        told.append(f"The run could not go on: {outcome.failure}")
    if outcome.busy > _BUSY and outcome.seconds >= _SHORT:
        told.append(
            f"The load generator used {outcome.busy * 100:.0f} % of a core: these figures may be "
            "its own, and not those of the server."
        )
    if outcome.dropped:
        told.append(
            f"Calls that were due and never begun: {outcome.dropped:,}. "
            "The server, or the number of workers, could not keep up with the rate."
        )
    if outcome.total.count > len(outcome.details):
        told.append(
            f"Details are of the first {MOST_DETAILS:,} of {outcome.total.count:,} calls; "
            "percentiles and bars are of all, and at most 0.1 % off."
        )
    if outcome.too_many_errors:
        told.append(
            f"There were more than {MOST_TEXTS:,} different errors: the rest is counted by status."
        )
    return told
