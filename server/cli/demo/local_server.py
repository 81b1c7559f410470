"""The server of a data directory: the one that runs, or one of the demo's own."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from server.cli.errors import Failure
from server.embedded import DataDirectory, RunningServer

_LOG = "demo-server.log"
_LOG_LINES = 20
_START_SECONDS = 120
_STOP_SECONDS = 30
_HEALTH_SECONDS = 2
_POLL_SECONDS = 0.1


@contextmanager
def local_server(data_dir: Path, *, stop_grace: float) -> Iterator[str]:
    """Lend the address of a server on the data directory.

    One that runs is used. Otherwise one is started, on free ports, and stopped in the end, within
    `stop_grace` seconds and some more.

    Raises:
        Failure: The server does not get ready.
        EmbeddedError: The data directory cannot be used.
    """
    directory = DataDirectory(data_dir)
    directory.create()
    if running := _find(directory):
        yield running.target
        return
    log = directory.path / _LOG
    log.touch(mode=0o600)  # The server's welcome has a token.
    with log.open("wb") as output, _start(directory.path, output.fileno()) as process:
        try:
            yield _await_ready(directory, process, log).target
        finally:
            process.terminate()
            try:
                process.wait(stop_grace + _STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _start(data_dir: Path, output: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - this package's own command.
        [
            *(sys.executable, "-m", "server.cli", "serve", "--data-dir", str(data_dir)),
            *("--host", "127.0.0.1", "--port", "0", "--admin-port", "0"),
            # However the demo ends, its end of the pipe closes.
            "--until-stdin-closes",
        ],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        # Ctrl-C is for the demo, which then stops the server.
        start_new_session=True,
    )


def _await_ready(
    directory: DataDirectory, process: "subprocess.Popen[bytes]", log: Path
) -> RunningServer:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        running = directory.running_server()
        if running is not None and running.pid == process.pid:
            return running
        time.sleep(_POLL_SECONDS)
    end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    raise Failure("\n".join(["the server did not get ready:", *end]))


def _find(directory: DataDirectory) -> RunningServer | None:
    """Return the server of the directory; one that is starting or stopping is waited for."""
    deadline = time.monotonic() + _STOP_SECONDS
    while directory.is_served:
        running = directory.running_server()
        if running is not None and _serves(running.target):
            click.echo(f"Using the server at {running.target}.", err=True)
            return running
        if time.monotonic() >= deadline:
            raise Failure(f"the server of {directory.path} does not get ready")
        time.sleep(_POLL_SECONDS)
    return None


def _serves(target: str) -> bool:
    with grpc.insecure_channel(target) as channel:
        health: Any = HealthStub(channel)
        try:
            answer = health.Check(HealthCheckRequest(), timeout=_HEALTH_SECONDS)
        except grpc.RpcError:
            return False
    return bool(answer.status == HealthCheckResponse.SERVING)
