"""The stored reports of ghz, and what it prints for them."""

from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parents[1] / "load/ghz/reports"
CURRENT: Final = sorted((_FOLDER / "v0.121").glob("*.json"))
OLD: Final = sorted(_FOLDER.glob("*.json"))
NAMED: Final = {path.stem: path for path in CURRENT}
PRINTED: Final = [
    (path, "json" if file == path else file.suffix.removeprefix("."))
    for path in CURRENT
    for file in sorted(path.parent.glob(f"{path.stem}.*"))
]
"""Each report with each format that there is a print of."""


def printed(report: Path, form: str) -> str:
    """Return what ghz prints for a report in a format."""
    path = report if form == "json" else report.with_suffix(f".{form}")
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()
