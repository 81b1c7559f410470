"""What the template of the page is given: a report, and what is worked out from it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from load.report import latencies
from load.report.figures import (
    Outcome,
    failed_calls,
    gates_of,
    methods_of,
    shown_options,
    times_of,
    verdict_of,
)
from load.report.formats.page.plots import (
    Plot,
    errors_plot,
    latency_plots,
    percentile_plot,
    throughput_plot,
)
from load.report.model import Report
from load.report.overtime import OverTime, over_time
from load.report.wording import duration, number, percent

_BANNERS: Final = {
    Outcome.PASS: ("PASS", "pass"),
    Outcome.FAIL: ("FAIL", "fail"),
    Outcome.INCONCLUSIVE: ("INCONCLUSIVE", "hold"),
    Outcome.NONE: ("NO GATES", "idle"),
}
_HEADLINE: Final = ("p50", "p95", "p99", "p99.9")
_MOST_DATA: Final = 1_000_000
_DURATIONS: Final = frozenset(
    {
        "concurrency-max-duration", "concurrency-step-duration", "dial-timeout",
        "duration", "keepalive", "load-max-duration", "load-step-duration", "max-duration",
        "stream-call-duration", "stream-interval", "timeout",
    }
)  # fmt: skip
"""Options that are nanoseconds."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that matters."""

    name: str
    value: str
    note: str = ""
    tone: str = ""
    """fail or hold: it is a bad sign."""


def contents(report: Report) -> Mapping[str, object]:
    """Return all that the template uses, by its names.

    Raises:
        ReportError: A histogram of the report cannot be read.
    """
    verdict = verdict_of(report)
    word, tone = _BANNERS[verdict.outcome]
    run = over_time(report) if report.count else None
    times = times_of(report)
    return {
        "report": report,
        "extra": report.patron,
        "date": datetime.fromisoformat(report.date),
        "methods": methods_of(report),
        "word": word,
        "tone": tone,
        "sentence": verdict.sentence,
        "gates": gates_of(report),
        "figures": _figures(report),
        "failed": failed_calls(report),
        "run": run,
        "latency_plots": latency_plots(run, [item.clock for item in times]) if run else {},
        "rate_plots": _rate_plots(run) if run else {},
        "percentile_plot": _percentile_plot(report),
        "times": times,
        "headline": [name for name in _HEADLINE if name in times[0].percentiles],
        "options": {key: _option(key, value) for key, value in shown_options(report).items()},
        "data": _data(report),
    }


def _figures(report: Report) -> Sequence[Sequence[Figure]]:
    """Return the figures that matter, in groups that belong together."""
    failed = failed_calls(report)
    calls = [
        Figure("Calls", number(report.count), f"in {duration(report.total)}"),
        Figure("Calls per second", number(report.rps)),
        Figure(
            "Failed calls",
            number(failed),
            percent(failed / report.count) if report.count else "",
            "fail" if failed else "",
        ),
    ]
    extra = report.patron
    if extra and extra.scheduled:
        calls += [
            Figure("Late calls", number(extra.late), "begun over 10 ms late", _bad(extra.late)),
            Figure("Dropped calls", number(extra.dropped), "never begun", _bad(extra.dropped)),
        ]
    if extra and (extra.messages_sent or extra.messages_received):
        calls += [
            Figure("Messages sent", number(extra.messages_sent)),
            Figure("Messages received", number(extra.messages_received)),
        ]
    times_ = [
        Figure(name, duration(times.percentiles[name]), f"{times.clock} time")
        for times in times_of(report)
        for name in _HEADLINE[:3]
        if times.slowest and name in times.percentiles
    ]
    return [calls, times_] if times_ else [calls]


def _bad(count: int) -> str:
    return "hold" if count else ""


def _rate_plots(run: OverTime) -> Mapping[str, Plot]:
    plots = {"calls": throughput_plot(run)}
    if any(part.errors for part in run.parts):
        plots["errors"] = errors_plot(run)
    return plots


def _percentile_plot(report: Report) -> Plot | None:
    clocks = {}
    if report.patron is None:
        of_report = latencies.of_report(report)
        if of_report:
            clocks["service"] = of_report
    else:
        clocks["service"] = latencies.of_clock(report.patron.service)
        if report.patron.scheduled:
            clocks["response"] = latencies.of_clock(report.patron.response)
    known = {clock: times for clock, times in clocks.items() if times.count}
    return percentile_plot(known) if known else None


def _option(key: str, value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold.
    if isinstance(value, str):
        return value
    if key in _DURATIONS and isinstance(value, int) and not isinstance(value, bool):
        return duration(value) if value else "0"
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _data(report: Report) -> str:
    """Return the report without its calls one by one as a URL; empty where it is too large."""
    kept = msgspec.structs.replace(report, details=None, options=shown_options(report))
    document = msgspec.json.encode(kept)
    if len(document) > _MOST_DATA:
        return ""
    return f"data:application/json;base64,{base64.b64encode(document).decode()}"
