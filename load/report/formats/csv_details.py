"""CSV: a line for each call."""

import csv
from collections.abc import Iterator
from io import StringIO

from load.report.go_text import seconds
from load.report.model import Report


def render(report: Report) -> Iterator[str]:
    """Return the calls as CSV, after an empty line: the duration in milliseconds, status, error.

    A field with a comma, a quote or an end of line stands in quotes, as CSV wants it.
    """
    yield "\nduration (ms),status,error\n"
    piece = StringIO()
    line = csv.writer(piece, lineterminator="\n")
    for each in report.details or ():
        line.writerow((f"{seconds(each.latency) * 1000:4.2f}", each.status, each.error))
        yield piece.getvalue()
        piece.seek(0)
        piece.truncate()
