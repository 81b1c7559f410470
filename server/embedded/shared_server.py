"""A server that several processes use, and that runs while at least one does."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Generic, TypeVar

from server.embedded import processes, sockets
from server.embedded.data_directory import DataDirectory
from server.embedded.errors import DataDirectoryUnusable, ProgramFailed
from server.embedded.locks import FileLock

_AddressT = TypeVar("_AddressT")

# More than the longest start and stop of another process together.
_TURN_SECONDS = 240
_SILENCE_SECONDS = 2


class SharedServer(ABC, Generic[_AddressT]):
    """A context manager: the first process to enter starts the server, the last to leave stops it.

    Every user holds a shared lock on a file, so that one which was killed counts no more. Starts
    and stops take turns under a second lock. A server which nobody uses was left by a killed
    process; it is stopped, for its settings, sockets and sessions are unknown, and started anew.

    Entering raises DataDirectoryUnusable, ProgramUnavailable or ProgramFailed.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    socket_name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    # Servers finish their work when told to stop; this much of it is worth waiting for.
    stop_patience: ClassVar[float] = 30

    def __init__(self, data_dir: Path) -> None:
        self._data_directory = DataDirectory(data_dir)
        # The servers' working directory.
        self._home = self._data_directory.path / self.name
        self._socket = self._home / self.socket_name
        self._users: FileLock | None = None

    def __enter__(self) -> _AddressT:
        self._data_directory.create()
        with self._turn():
            users = self._data_directory.open_lock(f"{self.name}.users")
            try:
                # Used by others and silent, it has crashed: they will be glad of a new one.
                if users.try_exclusive() or not sockets.accepts(self._socket):
                    self._restart()
                users.share()
                address = self._address()
            except BaseException:
                users.release()
                raise
        self._users = users
        return address

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        users, self._users = self._users, None
        if users is None:
            return
        try:
            with self._turn():
                if users.try_exclusive():
                    self._stop()
        finally:
            users.release()

    @abstractmethod
    def _start(self) -> None:
        """Start the server in its home and return when it answers."""

    @abstractmethod
    def _address(self) -> _AddressT:
        """Return where clients reach the server."""

    def _restart(self) -> None:
        self._stop()
        # A killed process counts as dead a moment before its last thread has closed its sockets.
        if not sockets.falls_silent(self._socket, patience=_SILENCE_SECONDS):
            raise ProgramFailed(
                f"{self.program} already runs on {self._home} where this process cannot see it"
            )
        try:
            self._start()
        except OSError as error:
            raise DataDirectoryUnusable(f"{self._home} cannot be used: {error}") from error
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        processes.stop(self._home, self.program, self.stop_signal, patience=self.stop_patience)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        turn = self._data_directory.open_lock(f"{self.name}.lock")
        try:
            if not turn.try_exclusive(patience=_TURN_SECONDS):
                raise ProgramFailed(
                    f"another process has been starting or stopping {self.program} "
                    f"in {self._home} for {_TURN_SECONDS} s"
                )
            yield
        finally:
            turn.release()
