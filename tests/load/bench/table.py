"""The figures as a table: beside their targets, and beside those of an earlier run."""

from collections.abc import Iterator, Sequence

from tests.load.bench.figures import FIGURES, Figure
from tests.load.bench.report import Report

_HEAD = ("figure", "what", "to reach", "measured")
_COMPARED = ("baseline", "change")
_NONE = "–"


def table(report: Report) -> str:
    """Return all figures as a table in Markdown, beside what is to be reached."""
    return _markdown(_HEAD, [_row(figure, report) for figure in FIGURES])


def comparison(report: Report, baseline: Report) -> str:
    """Return the table with the baseline beside it, and what has to be known to read it.

    A figure of the machine (a time, a size, a rate) isn't compared with one of another machine.
    """
    same_machine = report.meta.get("machine") == baseline.meta.get("machine")
    rows = [
        _row(figure, report) + _compared(figure, report, baseline, same_machine=same_machine)
        for figure in FIGURES
    ]
    notes = _notes(report, baseline, same_machine=same_machine)
    return "\n".join([_markdown((*_HEAD, *_COMPARED), rows), "", *notes])


def missed(report: Report) -> list[Figure]:
    """Return the figures that were measured and don't reach their targets."""
    return [
        figure
        for figure in FIGURES
        if (value := report.values[figure.key]) is not None and not figure.meets(value)
    ]


def _markdown(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _row(figure: Figure, report: Report) -> tuple[str, ...]:
    return (
        f"`{figure.key}`",
        figure.what,
        f"{figure.bound} {_number(figure.target, figure)}",
        _measured(figure, report.values[figure.key]),
    )


def _compared(
    figure: Figure, report: Report, baseline: Report, *, same_machine: bool
) -> tuple[str, str]:
    value, before = report.values[figure.key], baseline.values[figure.key]
    if before is None or (figure.of_this_machine and not same_machine):
        return _NONE, _NONE
    return _number(before, figure), _NONE if value is None else _change(value, before)


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
