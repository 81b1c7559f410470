"""Markdown for the summary of a job on GitHub: `>> "$GITHUB_STEP_SUMMARY"`."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from load.report.figures import (
    Outcome,
    failed_calls,
    finding,
    gates_of,
    methods_of,
    times_of,
    verdict_of,
)
from load.report.model import CallReport, Clock, Extra, Report
from load.report.wording import duration, number, percent, shortened, visible

# GitHub takes a megabyte: no report may be longer, whatever stands in it.
_MOST_ROWS: Final = 100
_MOST_ERRORS: Final = 50
_MOST_WARNINGS: Final = 20
_LONGEST: Final = 200
_LONGEST_ERROR: Final = 500

_VERDICTS: Final = {
    Outcome.PASS: "✅ PASS",
    Outcome.FAIL: "❌ FAIL",
    Outcome.INCONCLUSIVE: "⚠️ INCONCLUSIVE",
    Outcome.NONE: "ℹ️ No gates",  # noqa: RUF001 - the sign for information.
}
_OUTCOMES: Final = {"pass": "✅ pass", "fail": "❌ fail"}
_PERCENTILES: Final = ("p50", "p95", "p99", "p99.9")
_MEANINGFUL: Final = re.compile(r"[^\w ,.;%+=/'()\-]", re.ASCII)
"""What might mean something in Markdown or HTML, or be no ASCII."""


def render(report: Report) -> Iterator[str]:
    """Yield a report as GitHub-flavoured Markdown, less than a megabyte of it."""
    verdict = verdict_of(report)
    yield f"## {_VERDICTS[verdict.outcome]} – {_text(report.name or 'Load report')}\n\n"
    yield f"{verdict.sentence} {_subject(report)}\n\n"
    yield from _gates(report)
    yield from _warnings(report)
    yield from _figures(report)
    if report.patron and report.patron.calls:
        yield from _calls(report.patron, report.count)
    yield from _errors(report)


def _subject(report: Report) -> str:
    methods = methods_of(report)
    called = _code(methods[0]) if len(methods) == 1 else f"{number(len(methods))} methods"
    host = report.options.get("host")
    on = f" on {_code(str(host))}" if host else ""
    return f"{called}{on}, {report.date}" if methods else report.date


def _gates(report: Report) -> Iterator[str]:
    rows = [
        (_code(gate.gate), _OUTCOMES.get(gate.outcome, "⚠️ inconclusive"), _text(finding(gate)))
        for gate in gates_of(report)[:_MOST_ROWS]
    ]
    if rows:
        yield _table(("Gate", "Outcome", "Found"), rows, left=3)
        yield _more(len(gates_of(report)), _MOST_ROWS, "gates")


def _warnings(report: Report) -> Iterator[str]:
    warnings = report.patron.warnings if report.patron else ()
    for warning in warnings[:_MOST_WARNINGS]:
        yield f"> ⚠️ **Warning:** {_text(warning, _LONGEST_ERROR)}\n\n"
    yield _more(len(warnings), _MOST_WARNINGS, "warnings")
    if report.end_reason == "cancel":
        yield "> ⚠️ **Cancelled:** the run was ended before its calls were made.\n\n"


def _figures(report: Report) -> Iterator[str]:
    failed = failed_calls(report)
    share = f" ({percent(failed / report.count)})" if report.count else ""
    names = ["Calls", "Time", "Per second", "Failed"]
    row = [
        number(report.count),
        duration(report.total),
        number(report.rps),
        f"{number(failed)}{share}",
    ]
    if report.patron and report.patron.scheduled:
        names += ["Late", "Dropped"]
        row += [number(report.patron.late), number(report.patron.dropped)]
    yield _table(names, [row])
    clocks = times_of(report)
    percentiles = list(clocks[0].percentiles)[:_MOST_ROWS]
    if not percentiles:
        return
    yield _table(
        ["Latency", "fastest", *map(_text, percentiles), "slowest", "average"],
        [
            [
                f"{times.clock} time",
                duration(times.fastest),
                *(_time(times.percentiles.get(name)) for name in percentiles),
                duration(times.slowest),
                duration(times.average),
            ]
            for times in clocks
        ],
    )
    if len(clocks) > 1:
        yield (
            "Service time is how long a call took once it was sent. Response time also counts the "
            "wait since the moment at which it was meant to begin: a server that stalls cannot "
            "hide it.\n\n"
        )


def _calls(extra: Extra, count: int) -> Iterator[str]:
    names = [name for name in _PERCENTILES if name in extra.service.percentiles]
    clock = ["Clock"] if extra.scheduled else []
    rows = [row for call in extra.calls[:_MOST_ROWS] for row in _rows(call, extra, names, count)]
    yield _table(
        ["Call", "Calls", "Per second", "Failed", "Statuses, trailers", *clock, *names], rows
    )
    yield _more(len(extra.calls), _MOST_ROWS, "calls")


def _rows(
    call: CallReport, extra: Extra, names: Sequence[str], count: int
) -> Iterator[Sequence[str]]:
    def times(clock: Clock) -> Sequence[str]:
        return [_time(clock.percentiles.get(name)) for name in names]

    share = f" ({percent(call.count / count)})" if count else ""
    about = [
        _code(call.call),
        f"{number(call.count)}{share}",
        number(call.rps),
        number(call.errors),
        _text(_counted(call)),
    ]
    if not extra.scheduled:
        yield [*about, *times(call.service)]
        return
    yield [*about, "service", *times(call.service)]
    yield ["", "", "", "", "", "response", *times(call.response)]


def _counted(call: CallReport) -> str:
    counted = [f"{status} {number(count)}" for status, count in call.statuses.items()]
    for trailer, values in call.trailers.items():
        total = sum(values.values())
        counted += [
            f"{trailer} {value} {percent(count / total if total else 0)}"
            for value, count in values.items()
        ]
    return ", ".join(counted)


def _errors(report: Report) -> Iterator[str]:
    errors = sorted(report.error_distribution.items(), key=lambda item: -item[1])
    if not errors:
        return
    count = number(sum(report.error_distribution.values()))
    yield f"<details><summary>Errors of {count} calls</summary>\n\n"
    rows = [(number(count), _code(text, _LONGEST_ERROR)) for text, count in errors[:_MOST_ERRORS]]
    yield _table(("Calls", "Error"), rows, left=2)
    yield _more(len(errors), _MOST_ERRORS, "kinds of errors")
    yield "</details>\n"


def _more(there: int, shown: int, what: str) -> str:
    return f"And {number(there - shown)} other {what}.\n\n" if there > shown else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    sides = [":--" if index < left else "--:" for index in range(len(head))]
    lines = [f"| {' | '.join(row)} |" for row in (head, sides, *rows)]
    return "\n".join(lines) + "\n\n"


def _time(nanoseconds: int | None) -> str:
    return "–" if nanoseconds is None else duration(nanoseconds)


def _text(text: str, limit: int = _LONGEST) -> str:
    """Return a foreign text that means nothing but itself, on one line."""
    line = " ".join(shortened(visible(text), limit).split())
    return _MEANINGFUL.sub(lambda found: f"&#{ord(found[0])};", line)


def _code(text: str, limit: int = _LONGEST) -> str:
    """Return a foreign text as code, on one line: nobody is mentioned by it."""
    return f"<code>{_text(text, limit)}</code>" if text.strip() else ""
