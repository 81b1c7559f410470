"""Reports that were saved: our own, and ghz's of any year."""

from pathlib import Path
from typing import Final

import msgspec

from load.errors import ReportError
from load.report.go_text import nanoseconds
from load.report.model import Report
from load.report.options import of_report, with_current_names


class _Needed(msgspec.Struct):
    """What every report has: other JSON would make one too, as the rest has defaults."""

    date: msgspec.Raw
    options: msgspec.Raw
    count: msgspec.Raw
    total: msgspec.Raw
    average: msgspec.Raw
    rps: msgspec.Raw


_NEEDED: Final = msgspec.json.Decoder(_Needed)
_REPORT: Final = msgspec.json.Decoder(Report)


def read_report(path: Path) -> Report:
    """Return a report from a file that `json` or `pretty` has written, here or in ghz.

    Options have their present names, whatever they were called when it was written.

    Raises:
        ReportError: The file cannot be read, or is no report.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from None
    try:
        _NEEDED.decode(text)
        report = _REPORT.decode(text)
        report = msgspec.structs.replace(report, options=with_current_names(report.options))
        nanoseconds(report.date)
    except (msgspec.MsgspecError, UnicodeDecodeError, ReportError) as error:
        raise ReportError(f"{path} is no report in JSON: {error}") from None
    try:
        of_report(report.options)
    except msgspec.ValidationError as error:
        raise ReportError(f"{path} is no report: in its options, {error}") from None
    return report
