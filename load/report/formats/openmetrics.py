"""OpenMetrics, text format 1.0: for Prometheus' text file collector, and whatever else reads it.

Counts and histograms are of each call of the run, so that they can be added up; percentiles, which
cannot, are of the run and of each call. Source: the OpenMetrics specification, version 1.0.0.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from load.report import latencies
from load.report.figures import failed_calls, gates_of, methods_of, times_of
from load.report.go_text import nanoseconds
from load.report.latencies import Latencies
from load.report.model import CallReport, Clock, Extra, Report

_NS_PER_S: Final = 1_000_000_000
_BOUNDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0,
)  # fmt: skip
"""Of the buckets, in seconds: the same in every report, so that reports can be compared."""
_STATES: Final = ("pass", "fail", "inconclusive")

_Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Series:
    """What is told of one call of a run."""

    labels: _Labels
    count: int
    failed: int
    statuses: Mapping[str, int]
    histograms: Sequence[tuple[str, Latencies, float | None]]
    """By clock, with the sum of the times in seconds where it is known."""


def render(report: Report) -> Iterator[str]:
    """Yield a report as OpenMetrics, a family of metrics at a time.

    Raises:
        ReportError: A histogram of the report cannot be read.
    """
    extra = report.patron
    yield from _about(report)
    yield from _calls(_series(report, extra))
    yield from _percentiles(report)
    if extra:
        yield from _by_call(extra)
        yield from _generator(extra)
        yield from _gates(report)
    yield "# EOF\n"


def _about(report: Report) -> Iterator[str]:
    facts = {
        "name": report.name,
        "host": str(report.options.get("host", "")),
        "call": ",".join(methods_of(report)),
        "end_reason": report.end_reason,
        "version": report.patron.version if report.patron else "",
    }
    yield _family("run", "info", "What the load was put on.", [("_info", facts, 1)])
    tags = [
        ("_info", {"key": key, "value": value}, 1) for key, value in (report.tags or {}).items()
    ]
    if tags:
        yield _family("tag", "info", "A tag of the run.", tags)
    ended = nanoseconds(report.date) / _NS_PER_S
    text = "When the run ended, since the epoch."
    yield _family("end_timestamp_seconds", "gauge", text, [("", {}, ended)])
    seconds = report.total / _NS_PER_S
    yield _family("duration_seconds", "gauge", "How long the run took.", [("", {}, seconds)])
    text = "Calls that ended, by how long the run took."
    yield _family("calls_per_second", "gauge", text, [("", {}, report.rps)])


def _series(report: Report, extra: Extra | None) -> Sequence[_Series]:
    if extra and extra.calls:
        return [
            _Series(
                labels,
                call.count,
                call.errors,
                call.statuses,
                [_of_clock(name, clock) for name, clock in _clocks(call, extra)],
            )
            for labels, call in _labelled(extra)
        ]
    times = latencies.of_report(report)
    # The upper ends of bars tell no sum.
    total = int(times.values.sum()) / _NS_PER_S if times and report.details else None
    return [
        _Series(
            {"call": "1", "method": next(iter(methods_of(report)), "")},
            report.count,
            failed_calls(report),
            report.status_code_distribution,
            [("service", times, total)] if times else [],
        )
    ]


def _labelled(extra: Extra) -> Sequence[tuple[_Labels, CallReport]]:
    """Return the calls with what tells them apart: a method may be called in several ways."""
    return [
        ({"call": str(number), "method": call.call}, call)
        for number, call in enumerate(extra.calls, 1)
    ]


def _clocks(call: CallReport, extra: Extra) -> Sequence[tuple[str, Clock]]:
    both = (("service", call.service), ("response", call.response))
    return both if extra.scheduled else both[:1]


def _of_clock(name: str, clock: Clock) -> tuple[str, Latencies, float]:
    return name, latencies.of_clock(clock), clock.average * clock.count / _NS_PER_S


def _calls(series: Sequence[_Series]) -> Iterator[str]:
    samples = [("_total", item.labels, item.count) for item in series]
    yield _family("calls", "counter", "Calls that ended.", samples)
    samples = [("_total", item.labels, item.failed) for item in series]
    yield _family("failed_calls", "counter", "Calls that did not end with OK.", samples)
    samples = [
        ("_total", {**item.labels, "status": status}, count)
        for item in series
        for status, count in item.statuses.items()
    ]
    if samples:
        yield _family("statuses", "counter", "Calls that ended with a status.", samples)
    buckets = [
        sample
        for item in series
        for clock, times, total in item.histograms
        for sample in _buckets({"clock": clock, **item.labels}, times, total)
    ]
    if buckets:
        text = "How long calls took, by the clock: since they were sent, or meant to begin."
        yield _family("latency_seconds", "histogram", text, buckets)


def _buckets(labels: _Labels, times: Latencies, total: float | None) -> "Iterator[_Sample]":
    for bound in _BOUNDS:
        yield "_bucket", {**labels, "le": repr(bound)}, times.at_most(bound * _NS_PER_S)
    yield "_bucket", {**labels, "le": "+Inf"}, times.count
    if total is not None:
        # Neither is there without the other.
        yield "_count", labels, times.count
        yield "_sum", labels, total


def _percentiles(report: Report) -> Iterator[str]:
    clocks = times_of(report)
    samples = [
        ("", {"clock": times.clock, "percentile": name.removeprefix("p")}, value / _NS_PER_S)
        for times in clocks
        for name, value in times.percentiles.items()
    ]
    if samples:
        text = "How long a share of the calls, in per cent, took at most."
        yield _family("latency_percentile_seconds", "gauge", text, samples)
    for name in ("fastest", "average", "slowest"):
        samples = [
            ("", {"clock": times.clock}, getattr(times, name) / _NS_PER_S) for times in clocks
        ]
        yield _family(f"latency_{name}_seconds", "gauge", f"The {name} of the calls.", samples)


def _by_call(extra: Extra) -> Iterator[str]:
    samples = [
        (
            "",
            {"clock": name, **labels, "percentile": percentile.removeprefix("p")},
            value / _NS_PER_S,
        )
        for labels, call in _labelled(extra)
        for name, clock in _clocks(call, extra)
        for percentile, value in clock.percentiles.items()
    ]
    if samples:
        text = "How long a share of the calls of one kind, in per cent, took at most."
        yield _family("call_latency_percentile_seconds", "gauge", text, samples)
    samples = [
        ("_total", {**labels, "trailer": trailer, "value": value}, count)
        for labels, call in _labelled(extra)
        for trailer, values in call.trailers.items()
        for value, count in values.items()
    ]
    if samples:
        yield _family("trailers", "counter", "Calls with a value of a trailer.", samples)


def _generator(extra: Extra) -> Iterator[str]:
    for name, text, count in (
        ("late_calls", "Calls that began over 10 ms after they were meant to.", extra.late),
        ("dropped_calls", "Calls that should have been begun and were not.", extra.dropped),
        ("messages_sent", "Messages that were sent.", extra.messages_sent),
        ("messages_received", "Messages that were received.", extra.messages_received),
    ):
        yield _family(name, "counter", text, [("_total", {}, count)])
    text = "Which share of a core the busiest process that made the load used."
    yield _family("generator_busy_ratio", "gauge", text, [("", {}, extra.generator_busy)])
    if extra.calibration is not None:
        text = "Calls per second of a bare echo on this machine, just before the run."
        yield _family("calibration_calls_per_second", "gauge", text, [("", {}, extra.calibration)])


def _gates(report: Report) -> Iterator[str]:
    # One that is asked for twice is told once.
    outcomes = {gate.gate: gate.outcome for gate in gates_of(report)}
    samples = [
        ("", {"gate": gate, f"{_PREFIX}gate": state}, int(state == outcome))
        for gate, outcome in outcomes.items()
        for state in _STATES
    ]
    if samples:
        yield _family("gate", "stateset", "What a gate found.", samples)


_PREFIX: Final = "patron_load_"
_Sample = tuple[str, _Labels, float]
"""The suffix of the name, the labels, and the value."""


def _family(
    name: str, kind: str, text: str, samples: "Sequence[_Sample] | Iterator[_Sample]"
) -> str:
    full = f"{_PREFIX}{name}"
    lines = [f"# TYPE {full} {kind}"]
    if name.endswith("_seconds"):
        lines.append(f"# UNIT {full} seconds")
    lines.append(f"# HELP {full} {text}")
    lines += [f"{full}{suffix}{_labels(labels)} {value!r}" for suffix, labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: _Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
