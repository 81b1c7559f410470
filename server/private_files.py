"""Files that only their owner may read, such as keys, made by whoever is first."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def read_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return what is in a file; the first who asks makes it, and all get the same.

    Raises:
        OSError: The folder cannot be written or the file not be read.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Unlike a rename, a link never replaces the file of somebody who was first.
        with _written(path.parent, make()) as file, suppress(FileExistsError):
            path.hardlink_to(file)
    return path.read_bytes()


def replace(path: Path, content: bytes) -> None:
    """Put a file in its place, at once and as a whole."""
    with _written(path.parent, content) as file:
        file.replace(path)


@contextmanager
def _written(folder: Path, content: bytes) -> Iterator[Path]:
    """Lend a whole file that nobody else can read, to be moved to its place."""
    descriptor, name = tempfile.mkstemp(dir=folder)
    path = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - mkstemp has opened it
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield path
    finally:
        path.unlink(missing_ok=True)
