"""`patron unleash` as a real process."""

import asyncio
import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import urllib3

from flags.rollout.ports import Share
from flags.rollout.unleash_admin import UnleashSwitch
from server.embedded import processes
from tests.support.command_line import Running, eventually, started
from tests.support.unleash import require_unleash

FLAG = "customer-analytics"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that does not exist yet."""
    require_unleash()
    return tmp_path_factory.mktemp("unleash") / "data"


@pytest.fixture(scope="module")
def running(data: Path) -> Iterator[Running]:
    """Unleash, started on an empty data directory."""
    with started("unleash", "--data-dir", data, "--port", "0") as command:
        _wait(command)
        yield command


def _wait(command: Running) -> None:
    def there() -> bool:
        assert command.process.poll() is None, command.errors
        return "Ctrl-C" in command.output

    eventually(there, timeout=60)


def _exports(command: Running) -> dict[str, str]:
    """Return the variables that are printed to be set, as a shell understands them."""
    lines = re.findall(r"^export (\w+)=(.+)$", command.output, re.MULTILINE)
    return {name: shlex.split(value)[0] for name, value in lines}


def _switch(command: Running) -> UnleashSwitch:
    told = _exports(command)
    return UnleashSwitch(api=told["PATRON_UNLEASH_URL"], token=told["PATRON_UNLEASH_ADMIN_TOKEN"])


async def test_tells_how_to_use_it(running: Running, data: Path) -> None:
    """The flag lets nobody in; what is printed is enough to ask for it and to move it."""
    told = _exports(running)
    asked = await asyncio.to_thread(
        urllib3.request,
        "GET",
        f"{told['PATRON_UNLEASH_URL']}/client/features/{FLAG}",
        headers={"Authorization": told["PATRON_UNLEASH_TOKEN"]},
    )

    assert asked.json()["strategies"][0]["parameters"]["rollout"] == "0"
    assert await _switch(running).read(FLAG) == Share(0, enabled=True)
    assert f"{FLAG} lets 0 % of the merchants in" in running.output
    assert {path.stat().st_mode & 0o077 for path in (data / "unleash").glob("*.json")} == {0}


async def test_goes_on_where_it_was(running: Running, data: Path) -> None:
    """Stopped and started again it has the same tokens, and the flag where it was moved."""
    before = _exports(running)
    await _switch(running).move(FLAG, expected=0, percent=10)
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == 0
    assert _processes(data) == []

    with started("unleash", "--data-dir", data, "--port", "0") as again:
        _wait(again)
        after = _exports(again)
        assert await _switch(again).read(FLAG) == Share(10, enabled=True)
        assert f"{FLAG} lets 10 % of the merchants in" in again.output
        again.stop()

    assert {**before, "PATRON_UNLEASH_URL": ""} == {**after, "PATRON_UNLEASH_URL": ""}


@pytest.mark.fault
@pytest.mark.slow
def test_ends_with_its_starter(data: Path) -> None:
    """Killed, the command leaves no Unleash behind, and is started again on the same data."""
    with started("unleash", "--data-dir", data, "--port", "0") as killed:
        _wait(killed)
        killed.process.kill()
        killed.process.wait(10)
        eventually(lambda: _processes(data) == [], timeout=10)

    with started("unleash", "--data-dir", data, "--port", "0") as again:
        _wait(again)
        [unleash] = _processes(data)
        unleash.kill()
        assert again.process.wait(30) == 1
        assert "Unleash ended with status" in again.errors


def _processes(data: Path) -> list[psutil.Process]:
    return processes.working_in(data.resolve() / "unleash", "node")
