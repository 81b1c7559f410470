"""`patron serve` as a real process."""

import asyncio
import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from server.auth.development import DevelopmentKey
from server.cli.merchants import DEMO_MERCHANT_ID
from server.embedded import DataDirectory, EmbeddedPostgres, RunningServer
from server.storage.rollouts import PostgresRollouts
from tests.support.certificates import Authority
from tests.support.command_line import (
    Running,
    databases,
    environment,
    eventually,
    patron,
    serve_on,
    started,
    succeeds,
)
from tests.support.rollout_page import state


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


def test_the_admin_port_shows_rollouts(server: RunningServer, data: Path) -> None:
    """The page is there; its data are those of the database, also when it has none."""

    def told() -> dict[str, Any]:
        url = f"http://{server.admin}/rollouts.json"
        with urllib.request.urlopen(url, timeout=10) as answer:
            shown: dict[str, Any] = json.loads(answer.read())
            return shown

    def rollout() -> dict[str, Any]:
        shown: dict[str, Any] = told()["rollouts"][0]
        return shown

    with urllib.request.urlopen(f"http://{server.admin}/rollouts", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "script-src 'sha256-" in answer.headers["Content-Security-Policy"]
    assert (told()["problem"], rollout()["state"]) == (None, None)

    async def save(url: str) -> None:
        async with PostgresRollouts.connect(url) as store:
            await store.save(state(), version=None, entries=())

    with EmbeddedPostgres(data) as urls:
        asyncio.run(save(urls.maintenance))
    eventually(lambda: rollout()["state"] is not None)
    assert rollout()["state"]["percent"] == 50
    assert "PATRON_PROMETHEUS_URL" in rollout()["series"]["note"]


def test_a_second_server_on_the_data_directory_is_refused(
    running: Running, data: Path, server: RunningServer
) -> None:
    """Who serves is said; the first one and its databases go on."""
    told = patron(*serve_on(data)).stderr
    assert f"already served by process {running.process.pid} at {server.target}" in told
    assert running.process.poll() is None
    with grpc.insecure_channel(server.target) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)


def test_the_demo_tells_why_a_server_refuses_it(server: RunningServer, data: Path) -> None:
    """A refused token and a merchant of another currency are one line each."""
    demo = ("demo", "--target", server.target, "--token")

    def token(merchant: str) -> str:
        return succeeds("token", "--merchant", merchant, "--data-dir", data).strip()

    told = patron(*demo, "none").stderr
    assert told.startswith("Error: UNAUTHENTICATED: ")
    assert "TOKEN_INVALID" in told
    told = patron(*demo, token("5b0c9b7e-8f0f-4a38-9d6a-0d0a3f7f6a01")).stderr
    assert told.startswith("Error: PERMISSION_DENIED: ")
    assert "MERCHANT_UNKNOWN" in told
    shop = ("--name", "A", "--currency", "EUR", "--time-zone", "UTC", "--region", "DE")
    euros = succeeds("merchant", "create", *shop, "--data-dir", data).strip()
    told = patron(*demo, token(euros)).stderr
    assert told == "Error: the purchases are in USD, the merchant's are in EUR\n"


def test_a_port_in_use_is_said_without_a_traceback(server: RunningServer, tmp_path: Path) -> None:
    """A port that somebody else serves on is one line on stderr."""
    port = server.target.rpartition(":")[2]
    arguments = ("--data-dir", tmp_path / "data", "--port", port, "--admin-port", "0")
    outcome = patron("serve", *arguments)
    assert outcome.returncode == 1
    told = f"Error: cannot listen on {server.target}: it is taken, or not of this machine: "
    assert outcome.stderr.splitlines()[-1] == told + "choose another with --port or PATRON_PORT"
    assert "Traceback" not in outcome.stderr
    assert not databases(tmp_path / "data")


def test_wrong_tls_is_said_before_anything_starts(tmp_path: Path) -> None:
    """A key without its certificate is one line on stderr, and no database was started for it."""
    key = tmp_path / "key.pem"
    key.touch()
    outcome = patron(*serve_on(tmp_path / "data"), variables={"PATRON_TLS_KEY_FILE": str(key)})
    assert outcome.returncode == 2
    told = "Error: PATRON_TLS_CERT_FILE is required with PATRON_TLS_KEY_FILE\n"
    assert outcome.stderr == told
    assert not (tmp_path / "data").exists()


def test_with_tls_and_own_keys_only_addresses_are_told(tmp_path: Path) -> None:
    """Neither a call without TLS nor a token that is not accepted is there to paste."""
    chain, key = Authority().issue().write(tmp_path)
    jwks = DevelopmentKey.open(tmp_path / "own").jwks_path
    variables = {
        "PATRON_TLS_CERT_FILE": str(chain),
        "PATRON_TLS_KEY_FILE": str(key),
        "PATRON_AUTH_JWKS_FILE": str(jwks),
        "PATRON_AUTH_ALGORITHM": "EdDSA",
    }
    directory = tmp_path / "data"
    with started(*serve_on(directory), variables=variables) as command:
        server = command.serves(directory)
        eventually(lambda: "own keys" in command.output)
        assert command.output == (
            f"Patron serves at {server.target} with TLS; metrics and health are at "
            f"http://{server.admin}.\nTokens come from your own keys.\n"
        )
        assert "starting PostgreSQL and Valkey" in command.errors
    told = patron("demo", "--data-dir", directory, variables=variables).stderr
    assert told == "Error: the demo speaks without TLS: unset PATRON_TLS_CERT_FILE\n"
    token = ("token", "--merchant", str(DEMO_MERCHANT_ID), "--data-dir", directory)
    assert patron(*token, variables=variables).stderr.startswith("Warning: ")
    assert not patron(*token).stderr


def test_it_stops_cleanly_at_ctrl_c(tmp_path: Path) -> None:
    """After Ctrl-C the status is 0, and no database is left behind."""
    directory = tmp_path / "data"
    with started(*serve_on(directory)) as command:
        command.serves(directory)
        command.process.send_signal(signal.SIGINT)
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
