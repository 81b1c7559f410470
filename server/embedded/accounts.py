"""The account of a server which refuses to run as root."""

import logging
import os
import pwd
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from server.embedded.errors import ProgramUnavailable

_NAME = "patron_postgres"
_SYSTEM_PROGRAMS = "/usr/sbin:/sbin:/usr/bin:/bin"
_USERADD_SECONDS = 30

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, with its primary group."""

    uid: int
    gid: int


def unprivileged_account(home: Path) -> Account | None:
    """Return who shall run a server whose files are in `home`, or None for the current user.

    Only root needs another: the owner of the files if there are any, else a system account of
    its own, created on first use. Raises ProgramUnavailable if there is no way to have one.
    """
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise _refused("here only Linux can run it for root under another account")
    if home.exists() and (owner := home.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    return _find() or _create()


def let_pass(directory: Path) -> None:
    """Let every account walk through the directory and those above it, without listing them.

    Where root's programs are in its own home, which is closed, no other account could run them.
    Raises ProgramUnavailable if that fails.
    """
    for step in (directory, *directory.parents):
        mode = stat.S_IMODE(step.stat().st_mode)
        if mode & stat.S_IXOTH:
            continue
        _log.warning("allowing all accounts to pass through %s, for PostgreSQL to run", step)
        try:
            step.chmod(mode | stat.S_IXOTH)
        except OSError as error:
            raise _refused(f"its account may not pass through {step}") from error


def _find() -> Account | None:
    try:
        entry = pwd.getpwnam(_NAME)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def _create() -> Account:
    useradd = shutil.which("useradd", path=_SYSTEM_PROGRAMS)
    if useradd is None:
        raise _refused(f"the account {_NAME} is missing, and there is no useradd to create it")
    # Its status is not what counts: another process may have been faster.
    outcome = subprocess.run(  # noqa: S603 - a fixed command.
        [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _NAME],
        check=False,
        capture_output=True,
        text=True,
        timeout=_USERADD_SECONDS,
    )
    if account := _find():
        return account
    raise _refused(f"the account {_NAME} cannot be created: {outcome.stderr.strip()}")


def _refused(why: str) -> ProgramUnavailable:
    return ProgramUnavailable(
        f"PostgreSQL refuses to run as root, and {why}: "
        "run as an ordinary user, or set PATRON_DATABASE_URL"
    )
