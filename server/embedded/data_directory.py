"""The directory which holds everything that is kept, and who serves from it."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from server.embedded.errors import AlreadyServed, DataDirectoryUnusable
from server.embedded.locks import FileLock, is_locked

# Long enough to outlast a question after who holds the lock, short enough to wait for.
_LOCK_PATIENCE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that is ready: its process, and where it answers (host:port)."""

    pid: int
    target: str
    admin: str


class DataDirectory:
    """A data directory, by any path: relative, long, with spaces, through links."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock = self.path / "server.lock"
        self._record = self.path / "server.json"

    def create(self) -> None:
        """Create the directory, for this user only, unless it is there already.

        Raises DataDirectoryUnusable if that fails or it cannot be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise DataDirectoryUnusable(
                f"data directory {self.path}: {error.filename} is not a directory"
            ) from error
        except OSError as error:
            raise DataDirectoryUnusable(
                f"data directory {self.path} cannot be created: {error.strerror}"
            ) from error
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise DataDirectoryUnusable(
                f"data directory {self.path} is not writable by this user (uid {os.geteuid()})"
            )

    @contextmanager
    def server_lock(self) -> Iterator[None]:
        """Be the server of this directory, creating it if need be; afterwards nobody is.

        Raises AlreadyServed if another process is, DataDirectoryUnusable like `create`.
        """
        self.create()
        lock = self.open_lock(self._lock.name)
        try:
            if not lock.try_exclusive(patience=_LOCK_PATIENCE_SECONDS):
                raise AlreadyServed(self._who_serves())
            self._record.unlink(missing_ok=True)  # Left by a server that was killed.
            try:
                yield
            finally:
                self._record.unlink(missing_ok=True)
        finally:
            lock.release()

    def announce(self, server: RunningServer) -> None:
        """Tell other processes that the server is ready. To be called under `server_lock`."""
        with tempfile.NamedTemporaryFile(
            "w", dir=self.path, prefix="server.json.", encoding="utf-8", delete=False
        ) as record:
            json.dump(asdict(server), record)
        Path(record.name).replace(self._record)

    @property
    def is_served(self) -> bool:
        """Whether a process is the server of this directory, ready or not."""
        return is_locked(self._lock)

    def running_server(self) -> RunningServer | None:
        """Return the server that serves from this directory, or None if none is ready.

        What a killed server left behind does not count.
        """
        try:
            server = RunningServer(**json.loads(self._record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        alive = psutil.pid_exists(server.pid) and self.is_served
        return server if alive else None

    def open_lock(self, name: str) -> FileLock:
        """Return the lock of that name, not yet taken. Raises DataDirectoryUnusable."""
        try:
            return FileLock(self.path / name)
        except OSError as error:
            raise DataDirectoryUnusable(
                f"data directory {self.path}: {name} cannot be opened: {error.strerror}"
            ) from error

    def _who_serves(self) -> str:
        server = self.running_server()
        who = f"process {server.pid} at {server.target}" if server else "a server not ready yet"
        return f"data directory {self.path} is already served by {who}"
