"""Servers as processes of their own."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import psutil

from tests.load.world.errors import NotMeasured
from tests.load.world.places import REPOSITORY

_READY_SECONDS = 60
_STOP_SECONDS = 30
_POLL_SECONDS = 0.02
_LOG_LINES = 15


def free_port() -> int:
    """Return a port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(
    log: Path,
    command: Sequence[str],
    *,
    ready: Callable[[], bool],
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[psutil.Process]:
    """Lend a process that runs and is ready; it is stopped in the end.

    Args:
        log: Gets its output; the process is named as this file is.
        command: The program and its arguments.
        ready: Tells whether it is.
        environment: Variables beside those of this process.

    Raises:
        NotMeasured: It ended, or isn't ready in time.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C is for whoever measures, and then stops the servers one by one.
            start_new_session=True,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + _READY_SECONDS
            while not ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise NotMeasured(f"{log.stem} did not get ready:\n{tail(log)}")
                time.sleep(_POLL_SECONDS)
            yield psutil.Process(process.pid)
        finally:
            _stop(process)


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LOG_LINES:])


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return a process and all that it started, as far as they live."""
    return [process, *process.children(recursive=True)]


def accepts(port: int) -> bool:
    """Return whether somebody listens on a port of loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
