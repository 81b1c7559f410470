"""Which processes of a program work in a directory, and how to stop them."""

import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from server.embedded.errors import ProgramFailed

_POLL_SECONDS = 0.01
_KILL_SECONDS = 5


def working_in(directory: Path, program: str) -> list[psutil.Process]:
    """Return the program's live processes whose working directory this is.

    That identifies a server without trusting a process id in a file, which may have been given
    to a stranger since, and it finds those children of a killed server that still hold its files.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # It ended meanwhile, or is somebody else's.
            if process.name() == program and process.cwd() == str(directory) and _lives(process):
                found.append(process)
    return found


def stop(directory: Path, program: str, how: signal.Signals, *, patience: float) -> None:
    """Stop the program's processes that work in the directory; do nothing if there are none.

    They get the signal first and are killed `patience` seconds later. Raises ProgramFailed if
    one survives even that.
    """
    processes = working_in(directory, program)
    everyone = {process.pid for process in processes}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.ppid() not in everyone:  # A server ends its children itself.
                process.send_signal(how)
    if _ended(processes, patience):
        return
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if not _ended(processes, _KILL_SECONDS):
        survivors = ", ".join(str(process.pid) for process in processes if _lives(process))
        raise ProgramFailed(f"{program} in {directory} cannot be killed: process {survivors}")


def _ended(processes: list[psutil.Process], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while any(_lives(process) for process in processes):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _lives(process: psutil.Process) -> bool:
    # A dead process stays in the table until its parent asks after it, which in a container
    # without an init may be never.
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
