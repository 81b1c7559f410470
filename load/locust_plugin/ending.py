"""How a test of locust ends: with a report, its lines, and an exit code."""

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from locust.env import Environment

from load.errors import ConfigError
from load.gates import exits
from load.gates.thresholds import parse_threshold
from load.locust_plugin.session import Session
from load.report import wording
from load.report.formats import render
from load.report.model import Clock, GateResult, Report
from load.report.options import Options, reported

_SECOND: Final = 1_000_000_000
_PERCENTILES: Final = ("p50", "p90", "p95", "p99", "p99.9", "p99.99")
_WIDTH: Final = 10


def report_of(
    environment: Environment,
    session: Session,
    *,
    users: int,
    reason: str,
    warnings: Sequence[str],
) -> Report:
    """Return the report of a test that is over, with the outcome of each threshold in it.

    Args:
        environment: With the options of the command line.
        session: What all processes have told.
        users: How many there were at most.
        reason: Why it ended: normal, cancel or timeout.
        warnings: What there is to say about it.
    """
    given = environment.parsed_options or Namespace()
    options = Options(
        host=environment.host or "",
        concurrency=users,
        duration=round(_SECOND * (getattr(given, "run_time", None) or 0)),
        cpus=os.cpu_count() or 1,
    )
    report = session.report(reported(options), reason=reason, warnings=warnings)
    results = [_judged(text, report) for text in getattr(given, "threshold", ())]
    return exits.keep(report, results=results)


def _judged(text: str, report: Report) -> GateResult:
    threshold = parse_threshold(text)
    try:
        return threshold.judge(report)
    except ConfigError as error:
        # Which calls tasks make is only known now.
        return GateResult(gate=text, outcome="inconclusive", figure="unknown", gap=str(error))


def write(report: Report, given: Namespace) -> None:
    """Write the report as the command line asks for it, if it does.

    Raises:
        OSError: It cannot be written.
    """
    if path := getattr(given, "patron_report", None):
        with Path(path).open("w", encoding="utf-8") as file:
            file.writelines(render(report, given.patron_report_format))


def lines(report: Report) -> Iterator[str]:
    """Yield what locust's own tables do not tell, or only in two digits."""
    if report.patron is None or not report.count:
        return
    yield "Latency of the calls that ended as OK, from HdrHistograms"
    yield _row([*_PERCENTILES, "calls", "errors"], "name")
    for call in report.patron.calls:
        yield _row([*_told(call.service), f"{call.count:,}", f"{call.errors:,}"], call.call)
        if report.patron.scheduled:
            yield _row([*_told(call.response), "", ""], "  since they were meant to begin")
    yield ""
    yield from exits.lines(report.patron.gates)
    yield from (f"warning: {warning}" for warning in report.patron.warnings)


def _told(clock: Clock) -> Sequence[str]:
    if not clock.count:
        return ["-"] * len(_PERCENTILES)
    return [wording.duration(clock.percentiles[name]) for name in _PERCENTILES]


def _row(figures: Sequence[str], name: str) -> str:
    return f"{''.join(f'{figure:>{_WIDTH}}' for figure in figures)}  {name}"
