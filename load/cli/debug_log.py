"""What happens in a run, as lines of JSON, in the form that ghz's have."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from load.errors import ConfigError


class DebugLog:
    """Of a run as a whole: lines about each call would slow it down."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def write(self, message: str, *, level: str = "debug", **facts: Any) -> None:  # noqa: ANN401
        """Write a line."""
        if self._file is None:
            return
        time = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = {"level": level, "time": time, "message": message, **facts}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()


@contextmanager
def debug_log(path: str) -> Iterator[DebugLog]:
    """Lend a log that goes on at the end of a file; nowhere, if the path is empty.

    A file that it makes is for nobody else: data can be as secret as metadata.

    Raises:
        ConfigError: The file cannot be written.
    """
    if not path:
        yield DebugLog(None)
        return
    try:
        file = open(path, "a", encoding="utf-8", opener=_private)  # noqa: SIM115
    except OSError as error:
        raise ConfigError(f"debug: cannot write {path}: {error.strerror}") from None
    with file:
        yield DebugLog(file)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
