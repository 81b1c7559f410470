"""Where the repository is, and what is built in it."""

from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[3]
BUILD: Final = REPOSITORY / "build"
