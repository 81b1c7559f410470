"""The last good flags of a worker, for its next start."""

import os
import tempfile
from pathlib import Path

import structlog

from flags.deciding.snapshot import FlagsUnusable, Snapshot

_log = structlog.get_logger()


class LastGood:
    """A file of one worker; whatever happens to it is no reason not to serve."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Snapshot | None:
        """Return what was kept; None: nothing, or nothing that can be used."""
        if not self._path.exists():
            return None
        try:
            return Snapshot.read(self._path)
        except FlagsUnusable as error:
            _log.warning("the last good flags are lost", file=str(self._path), problem=str(error))
            return None

    def keep(self, snapshot: Snapshot) -> None:
        """Put the snapshot in the place of the one before, at once and as a whole."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._path.parent)
            try:
                with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - it is open
                    file.write(snapshot.text)
                Path(name).replace(self._path)
            except OSError:
                os.unlink(name)  # noqa: PTH108 - the name of mkstemp
                raise
        except OSError as error:
            _log.warning(
                "the last good flags cannot be kept: the next start may do without",
                file=str(self._path),
                problem=error.strerror,
            )
