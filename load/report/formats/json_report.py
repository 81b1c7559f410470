"""JSON, as ghz writes it: on one line, or laid out for people."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from load.report import go_json
from load.report.go_text import whole_seconds
from load.report.model import Detail, Report
from load.report.options import in_order

_OMITTED_WHEN_EMPTY: Final = ("name", "endReason", "tags", "patron")


def render(report: Report) -> Iterator[str]:
    """Return a report on one line, which has no end."""
    return _render(report, indent=False)


def render_pretty(report: Report) -> Iterator[str]:
    """Return a report laid out by two spaces; its last line has no end."""
    return _render(report, indent=True)


def _render(report: Report, *, indent: bool) -> Iterator[str]:
    margin, colon = ("\n  ", ": ") if indent else ("", ":")
    before = "{"
    for key, value in go_json.members(report):
        if not value and key in _OMITTED_WHEN_EMPTY:
            continue
        yield f"{before}{margin}{go_json.string(key)}{colon}"
        before = ","
        if key == "details" and report.details:
            yield from _details(report.details, indent=indent)
        elif key == "options":
            yield go_json.encode_object(in_order(report.options), indent=indent, depth=1)
        elif key == "date":
            yield go_json.string(whole_seconds(report.date))
        else:
            yield go_json.encode(value, indent=indent, depth=1)
    yield "\n}" if indent else "}"


def _details(details: Sequence[Detail], *, indent: bool) -> Iterator[str]:
    # A million of them: written by hand, as the general way takes several times as long.
    outer, inner, colon = ("\n    ", "\n      ", ": ") if indent else ("", "", ":")
    keys = [f'{inner}"{key}"{colon}' for key in Detail.__struct_fields__]
    timestamp, latency, error, status = keys
    string = lru_cache(maxsize=256)(go_json.string)
    before = "["
    for each in details:
        yield (
            f"{before}{outer}{{{timestamp}{go_json.string(each.timestamp)},"
            f"{latency}{each.latency},{error}{string(each.error)},{status}{string(each.status)}"
            f"{outer}}}"
        )
        before = ","
    yield "\n  ]" if indent else "]"
