"""The page that tells how fast Patron is."""

from tests.load.bench.places import PAGE
from tests.load.bench.report import Report
from tests.load.bench.table import table

_BEGIN = "<!-- figures: written by `make bench ARGS=--keep` -->\n"
_END = "<!-- end of figures -->\n"


def write_page(report: Report) -> None:
    """Put the figures of a report into the page, in the place of those that are there."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    figures = f"{table(report)}\n\n{_measured(report)}\n"
    PAGE.write_text(f"{before}{_BEGIN}{figures}{_END}{after}", encoding="utf-8")


def _measured(report: Report) -> str:
    if not report.meta:
        return "Not measured yet."
    versions = ", ".join(
        f"{name} {value}"
        for name, value in report.meta.items()
        if name not in {"machine", "date", "commit", "rounds"}
    )
    return (
        f"Measured on {report.meta['machine']}, {report.meta['date']}, at commit "
        f"{report.meta['commit']}, with {versions}. In bold: not reached."
    )
