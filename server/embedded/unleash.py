"""Unleash, whose data is in the PostgreSQL of a data directory."""

import json
import os
import re
import secrets
import selectors
import shutil
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Self

from server import private_files
from server.embedded.data_directory import DataDirectory
from server.embedded.errors import (
    AlreadyServed,
    DataDirectoryUnusable,
    ProgramFailed,
    ProgramUnavailable,
)
from server.embedded.postgres import EmbeddedPostgres
from server.embedded.programs import log_tail, new_log

USER: Final = "admin"
"""Who logs in to the web UI."""
PACKAGE: Final = Path(__file__).parents[2] / "build/unleash"
"""Where `make unleash-package` installs the npm package."""

_NAME = "unleash"
_TOKEN_NAME = "patron"  # noqa: S105 - no password.
_LOG = "unleash.log"
_SECRETS = "secrets.json"
_SCRIPT = Path(__file__).with_name("unleash.mjs")
_HOST = "127.0.0.1"
_OLDEST_NODE = 20
_NODE_SECONDS = 30
# The first start makes its tables: 3 s on an idle machine.
_START_SECONDS = 120
_STOP_SECONDS = 15
# A command that runs it may just be told to stop, or have been killed a moment ago.
_LOCK_PATIENCE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Secrets:
    """What is made up once, before the first start; Unleash keeps the first three for good."""

    password: str
    admin_token: str
    client_token: str
    session_secret: str


@dataclass(frozen=True, slots=True)
class UnleashAddress:
    """A running Unleash: where it is, and what lets one in."""

    web: str
    """The web UI, such as http://127.0.0.1:4242."""
    password: str = field(repr=False)
    """Of `USER`, unless changed in the web UI."""
    admin_token: str = field(repr=False)
    client_token: str = field(repr=False)
    """Of the environment `production`."""

    @property
    def api(self) -> str:
        """The URL that PATRON_UNLEASH_URL takes."""
        return f"{self.web}/api"


class EmbeddedUnleash:
    """`with EmbeddedUnleash(data_dir) as unleash:` has Unleash run on loopback meanwhile.

    It has a database of its own in the `EmbeddedPostgres` of the data directory, which runs with
    it. It ends with the process that started it, even if that is killed. It reports nothing to
    its makers.

    Entering raises AlreadyServed if another process runs it, or DataDirectoryUnusable,
    ProgramUnavailable or ProgramFailed.

    Args:
        data_dir: The data directory.
        port: Where it listens; 0: on any free port.
        package: Where the npm package is installed.
    """

    def __init__(self, data_dir: Path, *, port: int = 0, package: Path = PACKAGE) -> None:
        self._data_directory = DataDirectory(data_dir)
        self._home = self._data_directory.path / _NAME
        self._port = port
        self._package = package
        self._stack = ExitStack()
        self._process: _Process | None = None

    def __enter__(self) -> UnleashAddress:
        node = require_programs(self._package)
        self._data_directory.create()
        with ExitStack() as stack:
            lock = self._data_directory.open_lock(f"{_NAME}.lock")
            stack.callback(lock.release)
            if not lock.try_exclusive(patience=_LOCK_PATIENCE_SECONDS):
                raise AlreadyServed(
                    f"another process already runs Unleash on {self._data_directory.path}"
                )
            try:
                known = self._read_secrets()
                new_log(self._home / _LOG)
            except OSError as error:
                raise DataDirectoryUnusable(f"{self._home} cannot be used: {error}") from error
            postgres = EmbeddedPostgres(self._data_directory.path)
            stack.enter_context(postgres)
            running = stack.enter_context(_Process(node, self._home))
            port = running.start(
                {
                    "folder": str(self._package.resolve()),
                    "options": {
                        "databaseUrl": postgres.create_database(_NAME),
                        "db": {"ssl": False},
                        "server": {
                            "host": _HOST,
                            "port": self._port,
                            "secret": known.session_secret,
                        },
                        "authentication": {
                            "initialAdminUser": {"username": USER, "password": known.password},
                            "initApiTokens": [
                                _token("admin", known.admin_token),
                                _token("backend", known.client_token),
                            ],
                        },
                        "telemetry": False,
                        "versionCheck": {"enable": False},
                    },
                }
            )
            self._process = running
            self._stack = stack.pop_all()
        return UnleashAddress(
            f"http://{_HOST}:{port}", known.password, known.admin_token, known.client_token
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def wait(self) -> NoReturn:
        """Wait while it runs. Raises ProgramFailed when it ends, which it doesn't by itself."""
        assert self._process is not None, "it was not entered"  # noqa: S101 - misuse.
        self._process.wait()

    def _read_secrets(self) -> _Secrets:
        content = private_files.read_or_create(
            self._home / _SECRETS, lambda: json.dumps(asdict(_new_secrets())).encode()
        )
        try:
            return _Secrets(**json.loads(content))
        except (ValueError, TypeError) as error:
            raise DataDirectoryUnusable(
                f"{self._home / _SECRETS} is not what Unleash was started with: restore it, or "
                "choose another data directory"
            ) from error


class _Process:
    """Node, running Unleash; it is told to stop, and in the end killed, on leaving."""

    def __init__(self, node: str, home: Path) -> None:
        self._node = node
        self._home = home
        self._log = home / _LOG
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def start(self, given: dict[str, object]) -> int:
        """Start it and return the port when it listens. Raises ProgramFailed."""
        reader, writer = os.pipe()
        with open(reader, "rb") as ready, self._log.open("wb") as log:  # noqa: PTH123 - a pipe.
            try:
                process = self._process = subprocess.Popen(  # noqa: S603 - a fixed command.
                    [self._node, _SCRIPT],
                    cwd=self._home,
                    env={"NODE_ENV": "production", "TZ": "UTC"},
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[writer],
                    # Ctrl-C is for the starter, which stops it in its turn.
                    start_new_session=True,
                )
            except OSError as error:
                raise ProgramUnavailable(f"{self._node} cannot be run: {error.strerror}") from error
            finally:
                os.close(writer)
            assert process.stdin is not None  # noqa: S101 - for type checkers.
            with suppress(BrokenPipeError):  # It has ended: the answer tells.
                process.stdin.write(json.dumps({**given, "ready": writer}).encode() + b"\n")
                process.stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(ready, selectors.EVENT_READ)
                if not selector.select(_START_SECONDS):
                    raise ProgramFailed(
                        f"Unleash was not ready within {_START_SECONDS} s. {log_tail(self._log)}"
                    )
            answer = ready.readline()
        if not answer:
            raise ProgramFailed(f"Unleash did not start. {log_tail(self._log)}")
        return int(answer)

    def wait(self) -> NoReturn:
        """Wait while it runs; raises ProgramFailed when it ends."""
        assert self._process is not None  # noqa: S101 - it was started.
        status = self._process.wait()
        raise ProgramFailed(f"Unleash ended with status {status}. {log_tail(self._log)}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_STOP_SECONDS)  # Closes its standard input.
        process.kill()
        process.wait()


def require_programs(package: Path = PACKAGE) -> str:
    """Return the path of a Node that can run the package; raises ProgramUnavailable."""
    node = _find_node()
    if not (package / "node_modules/unleash-server").is_dir():
        raise ProgramUnavailable(
            f"Unleash is not installed in {package}: run `make unleash-package`"
        )
    return node


def _find_node() -> str:
    node = shutil.which("node")
    if node is None:
        raise ProgramUnavailable(f"Unleash needs Node {_OLDEST_NODE} or later: install it")
    try:
        version = subprocess.run(  # noqa: S603 - a fixed command.
            [node, "--version"],
            check=False,
            capture_output=True,
            text=True,
            timeout=_NODE_SECONDS,
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramUnavailable(f"{node} cannot be run: {error}") from error
    found = re.match(r"v(\d+)\.", version)
    if found is None or int(found[1]) < _OLDEST_NODE:
        raise ProgramUnavailable(
            f"Unleash needs Node {_OLDEST_NODE} or later, and {node} is {version or 'unknown'}"
        )
    return node


def _token(kind: str, secret: str) -> dict[str, object]:
    """Return a token as Unleash is given it; its name is what the history of a flag shows."""
    project, _, rest = secret.partition(":")
    environment, _, _ = rest.partition(".")
    return {
        "type": kind,
        "secret": secret,
        "projects": [project],
        "environment": environment,
        "tokenName": _TOKEN_NAME,
    }


def _new_secrets() -> _Secrets:
    return _Secrets(
        password=secrets.token_urlsafe(12),
        # Projects, environment, secret: the form is Unleash's.
        admin_token=f"*:*.{secrets.token_hex(28)}",
        client_token=f"default:production.{secrets.token_hex(28)}",
        session_secret=secrets.token_urlsafe(32),
    )
