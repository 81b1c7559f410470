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


@cache
def ghz() -> Path:
    """Return the program, built by `make ghz` or now; the test is skipped where there is no Go."""
    if _BUILT.exists():
        return _BUILT
    if shutil.which("go") is None:
        pytest.skip("there is no Go to build ghz with")
    subprocess.run(["make", "ghz"], cwd=_REPOSITORY, check=True, timeout=_BUILD_SECONDS)
    return _BUILT
