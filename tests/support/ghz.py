"""The real ghz, which runs and reports are compared with."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

_REPOSITORY: Final = Path(__file__).parents[2]
_SOURCE: Final = _REPOSITORY / "tests" / "load" / "ghz" / "program"
_BUILT: Final = _REPOSITORY / "build" / "ghz"
_BUILD_SECONDS: Final = 600


def built_ghz() -> Path | None:
    """Return the program, built by `make ghz` or now; None where there is no Go for it."""
    if not _BUILT.exists():
        if shutil.which("go") is None:
            return None
        subprocess.run(["make", "ghz"], cwd=_REPOSITORY, check=True, timeout=_BUILD_SECONDS)
    return _BUILT


@cache
def ghz() -> Path:
    """Return the program; the test is skipped where there is none."""
    found = built_ghz()
    if found is None:
        pytest.skip("there is no Go to build ghz with")
    return found
