"""Where the benchmark keeps its files; all but the baseline is build output."""

from pathlib import Path
from typing import Final

from tests.load.world.places import BUILD, REPOSITORY

FOLDER: Final = BUILD / "bench"
"""Databases, logs and programs."""
LOGS: Final = FOLDER / "logs"
GO_FLOOR: Final = REPOSITORY / "tests" / "load" / "floors" / "go"
BASELINE: Final = REPOSITORY / "tests" / "load" / "baseline.json"
PAGE: Final = REPOSITORY / "docs" / "performance.md"


def report_path(*, quick: bool) -> Path:
    """Return where the figures are written; those of a quick run are no figures."""
    return BUILD / ("bench-quick.json" if quick else "bench.json")
