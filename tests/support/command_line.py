"""The command line, as real processes and within the process of the tests."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import psutil
from click.testing import CliRunner, Result

from server.cli import main
from server.embedded import DataDirectory, RunningServer, processes

REPOSITORY = Path(__file__).parents[2]
PATRON = [sys.executable, "-m", "server.cli"]


def environment(
    variables: Mapping[str, str] = MappingProxyType({}), *, covered: bool = True
) -> dict[str, str]:
    """Return this process's environment with no other settings of Patron than these.

    Long work that is covered elsewhere needn't be measured: measuring takes as long again.
    """
    others = ("PATRON_", "SENTRY_") if covered else ("PATRON_", "SENTRY_", "COVERAGE_")
    return {k: v for k, v in os.environ.items() if not k.startswith(others)} | {**variables}


def patron(
    *arguments: str | Path,
    variables: Mapping[str, str] = MappingProxyType({}),
    timeout: float = 60,
    covered: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as a process."""
    return subprocess.run(
        [*PATRON, *map(str, arguments)],
        cwd=REPOSITORY,
        env=environment(variables, covered=covered),
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def succeeds(*arguments: str | Path, **variables: str) -> str:
    """Run a command within this process, which must succeed; return its stdout."""
    outcome = invoke(*arguments, **variables)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def fails(*arguments: str | Path, status: int, **variables: str) -> str:
    """Run a command within this process, which must fail with this status; return its stderr."""
    outcome = invoke(*arguments, **variables)
    assert outcome.exit_code == status, outcome.output
    return outcome.stderr


def invoke(*arguments: str | Path, **variables: str) -> Result:
    """Run a command within this process, however it ends."""
    none = dict.fromkeys(k for k in os.environ if k.startswith(("PATRON_", "SENTRY_")))
    runner = CliRunner(env={**none, **variables})
    return runner.invoke(main, [*map(str, arguments)], prog_name="patron", catch_exceptions=False)


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

    def kill(self) -> None:
        """End it and all that it has started, at once and without a chance to clean up."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            child.kill()
        self.process.kill()

    def stop(self) -> None:
        """Stop it as it should be, which it must do in time and without an error."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=30) == 0, self.errors


@contextmanager
def started(
    *arguments: str | Path,
    variables: Mapping[str, str] = MappingProxyType({}),
    covered: bool = True,
    stdin: int = subprocess.PIPE,
    program: Sequence[str] = PATRON,
) -> Iterator[Running]:
    """Lend a command that runs as a process; it is stopped in the end if it still does."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "stdout"), Path(folder, "stderr")
        with (
            output.open("w") as stdout,
            errors.open("w") as stderr,
            subprocess.Popen(
                [*program, *map(str, arguments)],
                cwd=REPOSITORY,
                env=environment(variables, covered=covered),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                text=True,
            ) as process,
        ):
            try:
                yield Running(process, output, errors)
            finally:
                _stop(process)


def _stop(process: "subprocess.Popen[str]") -> None:
    """Stop a command in the ordinary way, for its databases would outlive a kill."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()


@contextmanager
def serving(data: Path, *, covered: bool = True) -> Iterator[RunningServer]:
    """Lend a server that runs on a data directory, on free ports, until it is stopped."""
    with started(*serve_on(data), covered=covered) as running:
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
