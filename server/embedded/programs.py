"""Programs that come in wheels: where they are, and running them."""

import importlib.util
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from server.embedded.accounts import Account
from server.embedded.errors import ProgramFailed, ProgramUnavailable

_LOG_LINES = 20


def find_program(wheel: str, pattern: str, *, otherwise: str) -> Path:
    """Return the first file in the wheel's package that matches the glob pattern.

    The package is found, not imported: nothing of it runs in this process. Raises
    ProgramUnavailable, whose message says which setting (`otherwise`) makes it unnecessary.
    """
    package = importlib.util.find_spec(wheel)
    for location in (package and package.submodule_search_locations) or ():
        for program in Path(location).resolve().glob(pattern):
            return program
    raise ProgramUnavailable(
        f"{wheel} is not installed, or has no wheel for this platform: set {otherwise} instead"
    )


def run(
    command: Sequence[str | Path],
    *,
    directory: Path,
    timeout: float,
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
    script: str = "",
) -> None:
    """Run a program in the directory and wait for it, for at most `timeout` seconds.

    It sees the given environment variables only, and the script as its standard input. Raises
    ProgramFailed with what it printed if it does not succeed, ProgramUnavailable if it cannot
    be run at all.
    """
    name = Path(command[0]).name
    # Files, not pipes: what the program leaves running may keep them open.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as source:
        source.write(script.encode())
        source.seek(0)
        try:
            status = subprocess.run(  # noqa: S603 - the commands are this package's own.
                command,
                check=False,
                cwd=directory,
                env=environment or {},
                stdin=source,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            ).returncode
            failure = f"{name} failed with status {status}" if status else ""
        except subprocess.TimeoutExpired:
            failure = f"{name} did not finish within {timeout:g} s"
        except OSError as error:
            raise ProgramUnavailable(f"{command[0]} cannot be run: {error.strerror}") from error
        if failure:
            output.seek(0)
            raise ProgramFailed(f"{failure}:\n{output.read().decode(errors='replace').strip()}")


def log_tail(log: Path) -> str:
    """Return the last lines of a program's log, as the end of an error message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"(no log at {log})"
    return "\n".join([f"The end of {log}:", *lines[-_LOG_LINES:]])


def new_log(log: Path) -> None:
    """Keep the log of the run before beside the one to come, so that logs don't grow for ever."""
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
