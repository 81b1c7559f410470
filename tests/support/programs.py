"""Programs that some tests need."""

import os
import shutil

import pytest


def require(program: str, package: str) -> str:
    """Return the path of a program; without it the test is skipped, and in CI fails."""
    found = shutil.which(program)
    if found is None:
        reason = f"{program} is not installed (Debian: apt install {package})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
