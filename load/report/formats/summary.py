"""The summary for people, laid out as ghz lays it out: programs read it too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from load.report.columns import aligned
from load.report.go_text import nano_unit
from load.report.model import Bucket, Extra, Report

_BAR: Final = "∎"
_LONGEST_BAR: Final = 40


def render(report: Report) -> Iterator[str]:
    """Return a summary; what ghz does not tell comes after what it tells."""
    name = f"  Name:\t\t{report.name}\n" if report.name else ""
    yield (
        f"\nSummary:\n{name}"
        f"  Count:\t{report.count}\n"
        f"  Total:\t{nano_unit(report.total)}\n"
        f"  Slowest:\t{nano_unit(report.slowest)}\n"
        f"  Fastest:\t{nano_unit(report.fastest)}\n"
        f"  Average:\t{nano_unit(report.average)}\n"
        f"  Requests/sec:\t{report.rps:4.2f}\n"
        "\nResponse time histogram:\n"
    )
    yield from _bars(report.histogram or ())
    yield "\nLatency distribution:"
    for each in report.latency_distribution or ():
        yield f"\n  {_whole(each.percentage)} % in {nano_unit(each.latency)} "
    yield "\n\n"
    if report.status_code_distribution:
        yield "Status code distribution:\n"
        yield aligned(
            f"  [{status}]\t{count} responses\t\n"
            for status, count in most_frequent(report.status_code_distribution)
        )
    yield "\n"
    if report.error_distribution:
        yield "Error distribution:\n"
        yield aligned(
            f"  [{count}]\t{error}\t\n" for error, count in most_frequent(report.error_distribution)
        )
    yield "\n"
    if report.patron:
        yield from _extra(report.patron)


def most_frequent(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return what was counted, the most frequent first; of two as frequent, by name."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def _bars(buckets: Sequence[Bucket]) -> Iterator[str]:
    most = max((each.count for each in buckets), default=0)
    marks = [f"{each.mark * 1000:.3f}" for each in buckets]
    mark_width = max(map(len, marks), default=0)
    count_width = len(str(most))
    for each, mark in zip(buckets, marks, strict=True):
        length = (each.count * _LONGEST_BAR + most // 2) // most if most else 0
        gap = " " * (count_width - len(str(each.count)))
        yield f"  {mark:<{mark_width}} [{each.count}]{gap} |{_BAR * length}\n"


def _whole(percentage: float) -> str:
    return f"{percentage:g}"


def _extra(extra: Extra) -> Iterator[str]:
    if extra.scheduled:
        yield f"Since the calls were meant to begin ({extra.late} late, {extra.dropped} dropped):\n"
        yield from _pairs(
            (name, nano_unit(value)) for name, value in extra.response.percentiles.items()
        )
        yield "\n"
    if len(extra.calls) > 1:
        yield "Calls:\n"
        yield aligned(
            f"  {each.call}\t{each.count} calls\t{each.errors} errors\t{each.rps:.2f}/s\t"
            f"p95 {nano_unit(each.service.percentiles.get('p95', 0))}\t\n"
            for each in extra.calls
        )
        yield "\n"
    if extra.gates:
        yield "Gates:\n"
        yield aligned(
            f"  [{each.outcome}]\t{each.gate}\t{each.figure}\t{each.gap}\t\n"
            for each in extra.gates
        )
        yield "\n"
    if extra.warnings:
        yield "Warnings:\n"
        yield from (f"  {each}\n" for each in extra.warnings)
        yield "\n"


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield from (f"  {name}:\t{value}\n" for name, value in pairs)
