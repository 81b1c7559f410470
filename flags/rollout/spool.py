"""Roll backs that the store doesn't know of yet, in a file until it does."""

import fcntl
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from flags.rollout.state import Entry

_FOLDER: Final = "rollout"
_FILE: Final = "spool.jsonl"


@dataclass(frozen=True, slots=True)
class Owed:
    """A roll back that was done while the store was out of reach."""

    id: str
    flag: str
    found: int
    """The share that it replaced."""
    entry: Entry


class Spool:
    """What is owed to the store: a line of JSON for each, in a file that only its owner may read.

    What `append` has returned for is on the disk, and stays until `remove`. A process that dies in
    between leaves at most the beginning of a line, which is nothing to any reader. Several
    processes may use the file at once.
    """

    def __init__(self, data_dir: Path) -> None:
        """Use the file of a data directory; it is made when something is owed."""
        self._file = data_dir / _FOLDER / _FILE

    @property
    def file(self) -> Path:
        """Where it is."""
        return self._file

    def append(self, owed: Owed) -> None:
        """Keep a roll back.

        Raises:
            OSError: It could not be written; it may be there in whole or not at all.
        """
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            is_new = not self._file.exists()
            descriptor = os.open(
                self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                # A line that somebody died in ends here, so that it cannot spoil this one.
                start = b"" if _ends_a_line(descriptor) else b"\n"
                _write(descriptor, start + msgspec.json.encode(owed) + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if is_new:
                _sync_folder(self._file.parent)

    def read(self) -> list[Owed]:
        """Return what is owed, the oldest first.

        Raises:
            OSError: The file cannot be read.
        """
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return []
        return [owed for line in content.split(b"\n") if (owed := _parse(line)) is not None]

    def remove(self, ids: Collection[str]) -> None:
        """Forget what the store knows by now.

        Raises:
            OSError: The file cannot be written; nothing was forgotten.
        """
        if not self._file.exists():
            return
        with self._locked():
            rest = [owed for owed in self.read() if owed.id not in ids]
            if rest:
                _replace(self._file, b"".join(msgspec.json.encode(owed) + b"\n" for owed in rest))
            else:
                self._file.unlink(missing_ok=True)
            _sync_folder(self._file.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others from writing. The lock is on a file of its own, for the other is replaced."""
        lock = self._file.with_suffix(".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _parse(line: bytes) -> Owed | None:
    """Return what a line says; None: its writer died in it."""
    try:
        return msgspec.json.decode(line, type=Owed)
    except ValueError:  # Of JSON, or of UTF-8.
        return None


def _ends_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _replace(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - mkstemp has opened it.
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Bring the names of its files to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
