"""Where reports go: to a file, or to stdout."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from load.errors import ConfigError


def check_output(path: str) -> None:
    """Refuse, before a run, a file that its report could not be written to.

    Raises:
        ConfigError: It could not.
    """
    if not path:
        return
    file = Path(path)
    existing = file if file.exists() else file.parent
    if file.is_dir() or not existing.exists() or not os.access(existing, os.W_OK):
        raise ConfigError(f"output: cannot write {path}")


def write(pieces: Iterator[str], path: str) -> None:
    """Write a text to a file; to stdout, if the path is empty.

    Raises:
        ConfigError: The file cannot be written.
    """
    if not path:
        sys.stdout.writelines(pieces)
        sys.stdout.flush()
        return
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
    except OSError as error:
        raise ConfigError(f"output: cannot write {path}: {error.strerror}") from None
