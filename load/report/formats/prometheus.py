"""The text format of Prometheus, with ghz's metrics."""

from collections.abc import Iterator
from typing import Final

import msgspec

from load.report.go_text import number
from load.report.model import Report
from load.report.options import Options, of_report

_SCHEDULES: Final = ("load", "concurrency")


def render(report: Report) -> Iterator[str]:
    """Return the metrics of a run.

    Those of ghz, as it means them: the buckets of `ghz_run_histogram` hold the calls of each bar
    alone, not those of the bars before it too, and their bounds are seconds, but everything else
    is nanoseconds.
    """
    labels = _labels(report)
    gauges = {
        "count": report.count,
        "total": report.total,
        "average": report.average,
        "fastest": report.fastest,
        "slowest": report.slowest,
        "rps": report.rps,
    }
    for name, value in gauges.items():
        yield from _gauge(f"ghz_run_{name}", labels, value)
    yield from _histogram(report, labels)
    yield from _summary(report, labels)
    yield from _gauge("ghz_run_errors", labels, sum(report.error_distribution.values()))


def _gauge(name: str, labels: str, value: float) -> Iterator[str]:
    yield f"# TYPE {name} gauge\n{name}{{{labels}}} {number(value)}\n"


def _histogram(report: Report, labels: str) -> Iterator[str]:
    name = "ghz_run_histogram"
    yield f"# TYPE {name} histogram\n"
    for each in report.histogram or ():
        yield f'{name}_bucket{{{labels},le="{number(each.mark)}"}} {number(each.count)}\n'
    yield f'{name}_bucket{{{labels},le="+Inf"}} {number(report.count)}\n'
    yield from _sum_and_count(name, report, labels)


def _summary(report: Report, labels: str) -> Iterator[str]:
    name = "ghz_run_latency"
    yield f"# TYPE {name} summary\n"
    for each in report.latency_distribution or ():
        quantile = number(each.percentage / 100)
        yield f'{name}{{{labels},quantile="{quantile}"}} {number(each.latency)}\n'
    yield from _sum_and_count(name, report, labels)


def _sum_and_count(name: str, report: Report, labels: str) -> Iterator[str]:
    yield f"{name}_sum{{{labels}}} {number(report.total)}\n"
    yield f"{name}_count{{{labels}}} {number(report.count)}\n"


def _labels(report: Report) -> str:
    """Return the labels of every metric, sorted: the run's name, how it ended, its options."""
    options = of_report(report.options)
    values = {"name": report.name, "end_reason": report.end_reason} | dict(_told(options))
    return ",".join(
        f'{name.replace("-", "_")}="{_escaped(value)}"' for name, value in sorted(values.items())
    )


def _told(options: Options) -> Iterator[tuple[str, str]]:
    constant = [
        f"{each}-" for each in _SCHEDULES if getattr(options, f"{each}_schedule") == "const"
    ]
    pairs = zip(options.__struct_encode_fields__, msgspec.structs.astuple(options), strict=True)
    for name, value in pairs:
        if name in ("data", "metadata") or name.startswith(tuple(constant)):
            continue
        match value:
            case bool():
                # ghz fails here when compression is on, and tells of it by no label when not.
                if value or name != "enable-compression":
                    yield name, "true" if value else "false"
            case int():
                yield name, str(value)
            case str():
                if value:
                    yield name, value
            case _:
                yield name, ",".join(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
