"""The figures as a table: beside their targets, and beside those of an earlier run."""

from collections.abc import Iterator

from tests.load.bench.figures import FIGURES, Figure
from tests.load.bench.report import Report

_HEAD = ("figure", "what", "to reach", "measured", "baseline", "change")
_NONE = "–"


def table(report: Report, baseline: Report) -> str:
    """Return all figures as a table in Markdown, and what has to be known to read it.

    A figure of the machine (a time, a size, a rate) isn't compared with one of another machine.
    """
    same_machine = report.meta.get("machine") == baseline.meta.get("machine")
    rows = [_HEAD, ("---",) * len(_HEAD)]
    rows += [_row(figure, report, baseline, same_machine=same_machine) for figure in FIGURES]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *_notes(report, baseline, same_machine=same_machine)])


def missed(report: Report) -> list[Figure]:
    """Return the figures that were measured and don't reach their targets."""
    return [
        figure
        for figure in FIGURES
        if (value := report.values[figure.key]) is not None and not figure.meets(value)
    ]


def _row(
    figure: Figure, report: Report, baseline: Report, *, same_machine: bool
) -> tuple[str, ...]:
    value, before = report.values[figure.key], baseline.values[figure.key]
    if figure.of_this_machine and not same_machine:
        before = None
    return (
        f"`{figure.key}`",
        figure.what,
        f"{figure.bound} {_number(figure.target, figure)}",
        _measured(figure, value),
        _NONE if before is None else _number(before, figure),
        _NONE if value is None or before is None else _change(value, before),
    )


def _measured(figure: Figure, value: float | None) -> str:
    if value is None:
        return _NONE
    text = _number(value, figure)
    return text if figure.meets(value) else f"**{text}**"


def _number(value: float, figure: Figure) -> str:
    digits = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return f"{digits} {figure.unit}".rstrip()


def _change(value: float, before: float) -> str:
    if not before:
        return "same" if value == before else f"{value - before:+,.3g}"
    return f"{(value - before) / abs(before):+.0%}"


def _notes(report: Report, baseline: Report, *, same_machine: bool) -> Iterator[str]:
    if report.meta:
        yield f"Measured on {report.meta['machine']}, {report.meta['date']}."
    if missed(report):
        yield "In bold: not reached."
    if not baseline.meta:
        yield "There is no baseline to compare with."
    elif not same_machine:
        yield (
            "Times, sizes and rates are not compared: the baseline is one of another machine "
            f"({baseline.meta['machine']}), where they are others. Ratios are."
        )
