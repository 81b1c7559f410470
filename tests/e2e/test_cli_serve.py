"""`patron serve` as a real process."""

import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from server.cli.merchants import DEMO_MERCHANT_ID
from server.embedded import DataDirectory, RunningServer
from tests.support.command_line import (
    Running,
    databases,
    environment,
    eventually,
    fails,
    serve_on,
    serving,
    started,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that does not exist yet."""
    return tmp_path_factory.mktemp("serve") / "data"


@pytest.fixture(scope="module")
def running(data: Path) -> Iterator[Running]:
    """A server that was started on an empty data directory."""
    with started(*serve_on(data)) as command:
        command.serves(data)
        eventually(lambda: "Ctrl-C" in command.output)
        yield command


@pytest.fixture
def server(running: Running, data: Path) -> RunningServer:
    """Where it serves."""
    return running.serves(data)


def pasted(script: str) -> str:
    """Run lines in a shell, from some other directory; return what they print."""
    outcome = subprocess.run(
        ["bash", "-euc", script],
        cwd="/",
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_the_welcome_tells_where_and_how(running: Running, server: RunningServer) -> None:
    """The address, the demo merchant and a token are printed when the server is ready."""
    assert f"Patron serves at {server.target};" in running.output
    assert f"http://{server.admin}" in running.output
    assert str(DEMO_MERCHANT_ID) in running.output
    assert re.search(r"^TOKEN=[\w.-]+$", running.output, re.MULTILINE)
    assert (
        f"\n  {server.target} patron.customer.v1.CustomerService/CreateCustomer" in running.output
    )


def test_the_first_call_works_as_it_is_pasted(running: Running) -> None:
    """The token and the Python call, copied from the welcome, create a customer."""
    [token] = re.findall(r"^TOKEN=.*$", running.output, re.MULTILINE)
    [call] = re.findall(r"^\S+ -c '$.*?^' \"\$TOKEN\"$", running.output, re.MULTILINE | re.DOTALL)
    answer = pasted(f"{token}\n{call}\n")
    assert 'name: "Ada"' in answer
    assert "revision: " in answer


def test_the_admin_port_tells_health(server: RunningServer) -> None:
    """The address of metrics and health, as announced, answers."""
    with urllib.request.urlopen(f"http://{server.admin}/healthz", timeout=10) as answer:
        assert answer.status == 200


def test_a_second_server_on_the_data_directory_is_refused(
    running: Running, data: Path, server: RunningServer
) -> None:
    """Who serves is said; the first one and its databases go on."""
    told = fails(*serve_on(data), status=1)
    assert f"already served by process {running.process.pid} at {server.target}" in told
    assert running.process.poll() is None
    with grpc.insecure_channel(server.target) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)


def test_a_port_in_use_is_said_without_a_traceback(server: RunningServer, tmp_path: Path) -> None:
    """A port that somebody else serves on is one line on stderr."""
    port = server.target.rpartition(":")[2]
    arguments = ("--data-dir", tmp_path / "data", "--port", port, "--admin-port", "0")
    assert port in fails("serve", *arguments, status=1)
    assert not databases(tmp_path / "data")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_when_told_to(how: signal.Signals, tmp_path: Path) -> None:
    """After SIGTERM and Ctrl-C the status is 0 and no database is left behind."""
    directory = tmp_path / "data"
    with started(*serve_on(directory)) as command:
        command.serves(directory)
        command.process.send_signal(how)
        assert command.process.wait(timeout=30) == 0, command.errors
    assert not databases(directory)
    assert DataDirectory(directory).running_server() is None


def test_it_stops_with_whoever_holds_its_stdin(tmp_path: Path) -> None:
    """The server that the demo starts does not outlive it, however the demo ends."""
    with started(*serve_on(tmp_path), "--until-stdin-closes") as command:
        command.serves(tmp_path)
        assert command.process.stdin is not None
        command.process.stdin.close()
        assert command.process.wait(timeout=30) == 0, command.errors


def test_it_serves_again_what_was_kept(tmp_path: Path) -> None:
    """A second start on the data directory is as good as the first."""
    for _ in range(2):
        with serving(tmp_path) as server, grpc.insecure_channel(server.target) as channel:
            grpc.channel_ready_future(channel).result(timeout=10)
