"""The command line as real processes."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from server.embedded import DataDirectory, RunningServer, processes

REPOSITORY = Path(__file__).parents[2]
PATRON = [sys.executable, "-m", "server.cli"]


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with other settings of Patron: only the given ones."""
    ours = ("PATRON_", "SENTRY_")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | variables


def patron(
    *arguments: str | Path, timeout: float = 60, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*PATRON, *map(str, arguments)],
        cwd=REPOSITORY,
        env=environment(**variables),
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def succeeds(*arguments: str | Path, timeout: float = 60, **variables: str) -> str:
    """Run a command that must succeed; return what it printed to stdout."""
    outcome = patron(*arguments, timeout=timeout, **variables)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def fails(*arguments: str | Path, status: int, timeout: float = 60, **variables: str) -> str:
    """Run a command that must fail in an expected way; return what it printed to stderr."""
    outcome = patron(*arguments, timeout=timeout, **variables)
    assert outcome.returncode == status, outcome.stderr or outcome.stdout
    assert "Traceback" not in outcome.stderr
    return outcome.stderr


class Running:
    """A command that runs; its output goes to files, for nobody reads along."""

    def __init__(self, process: "subprocess.Popen[str]", output: Path, errors: Path) -> None:
        self.process = process
        self._output = output
        self._errors = errors

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def serves(self, data: Path) -> RunningServer:
        """Wait for it to serve from a data directory."""
        found: list[RunningServer] = []

        def there() -> bool:
            assert self.process.poll() is None, self.errors
            found[:] = filter(None, [DataDirectory(data).running_server()])
            return bool(found)

        eventually(there, timeout=60)
        return found[0]

    def stop(self) -> None:
        """Stop it as it should be, which it must do in time and without an error."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=30) == 0, self.errors


@contextmanager
def started(*arguments: str | Path, **variables: str) -> Iterator[Running]:
    """Lend a command that runs; it is killed in the end if it still does."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "stdout"), Path(folder, "stderr")
        with (
            output.open("w") as stdout,
            errors.open("w") as stderr,
            subprocess.Popen(
                [*PATRON, *map(str, arguments)],
                cwd=REPOSITORY,
                env=environment(**variables),
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                text=True,
            ) as process,
        ):
            try:
                yield Running(process, output, errors)
            finally:
                process.kill()


@contextmanager
def serving(data: Path, **variables: str) -> Iterator[RunningServer]:
    """Lend a server that runs on a data directory, on free ports, until it is stopped."""
    with started(*serve_on(data), **variables) as running:
        yield running.serves(data)
        running.stop()


def serve_on(data: Path) -> list[str]:
    """Return the command that serves from a data directory, on free ports."""
    return ["serve", "--data-dir", str(data), "--port", "0", "--admin-port", "0"]


def eventually(condition: Callable[[], bool], *, timeout: float = 30) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def databases(data: Path) -> list[psutil.Process]:
    """Return the live processes of the embedded databases."""
    directory = data.resolve()
    return [
        *processes.working_in(directory / "postgres", "postgres"),
        *processes.working_in(directory / "valkey", "valkey-server"),
    ]
