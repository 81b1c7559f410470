"""Unleash, run for one machine."""

import socket
from pathlib import Path

import pytest

from server.cli.unleash import prepare
from server.embedded import EmbeddedUnleash, ProgramUnavailable
from server.embedded.errors import AlreadyServed, DataDirectoryUnusable, ProgramFailed
from tests.support.unleash import Unleash, require_unleash


def test_tells_no_secret(unleash: Unleash) -> None:
    """What lets one in is in no traceback."""
    shown = repr(unleash.address)

    assert unleash.address.web in shown
    assert unleash.address.password not in shown
    assert unleash.address.admin_token not in shown
    assert unleash.address.client_token not in shown


def test_reports_nothing(unleash: Unleash) -> None:
    """It neither tells its makers of itself nor asks them for newer versions."""
    version = unleash.ask("GET", "ui-config")["versionInfo"]

    assert version["current"]["oss"] == "7.5.1"
    assert not version.get("latest")


def test_runs_once_on_a_data_directory(unleash: Unleash) -> None:
    """A second one on the same data is refused."""
    with pytest.raises(AlreadyServed, match="already runs Unleash"):
        EmbeddedUnleash(unleash.data_dir).__enter__()


def test_needs_its_package(tmp_path: Path) -> None:
    """Where the package is missing, one is told what installs it."""
    require_unleash()

    with pytest.raises(ProgramUnavailable, match="run `make unleash-package`"):
        EmbeddedUnleash(tmp_path / "data", package=tmp_path).__enter__()

    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "script,said",
    [
        (None, "needs Node 20 or later: install it"),
        ("echo v18.20.4", "is v18.20.4"),
        ("exit 1", "is unknown"),
    ],
)
def test_needs_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, said: str
) -> None:
    """Without Node, or with an old one, one is told so before anything is started."""
    if script is not None:
        node = tmp_path / "node"
        node.write_text(f"#!/bin/sh\n{script}\n")
        node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ProgramUnavailable, match=said):
        EmbeddedUnleash(tmp_path / "data").__enter__()


def test_refuses_other_secrets(tmp_path: Path) -> None:
    """Secrets that were damaged are not made anew: Unleash keeps the old ones."""
    require_unleash()
    (tmp_path / "unleash").mkdir()
    (tmp_path / "unleash/secrets.json").write_text("{}")

    with pytest.raises(DataDirectoryUnusable, match=r"secrets\.json is not what Unleash was"):
        EmbeddedUnleash(tmp_path).__enter__()


async def test_runs_with_a_flag_that_cannot_be_moved(unleash: Unleash) -> None:
    """What a person did to the flag is told where its state is, and keeps nothing from starting."""
    flag = unleash.new_flag(percent=10)
    unleash.add_strategy(flag, percent=20)

    assert "has 2 strategies" in await prepare(unleash.address, flag)


@pytest.mark.fault
@pytest.mark.slow
def test_tells_why_it_did_not_start(tmp_path: Path) -> None:
    """When Unleash does not start, its own words are told, and nothing is left running."""
    require_unleash()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ProgramFailed, match=r"(?s)did not start.*EADDRINUSE"):
            EmbeddedUnleash(tmp_path, port=port).__enter__()

    with EmbeddedUnleash(tmp_path) as address:
        assert address.web.startswith("http://127.0.0.1:")
