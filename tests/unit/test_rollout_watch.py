"""What `patron rollout watch` shows while a rollout goes on."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.live import Live

from flags.rollout.ports import StoreUnreachable
from flags.rollout.state import Status
from server.cli.errors import Failure
from server.cli.rollout import status
from server.cli.rollout.exits import FAILS
from server.cli.rollout.table import Report
from tests.support.rollout_page import NOW, PLAN, state


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three looks: at one that goes on, at a database that is gone, at one that was stopped."""
    running = replace(state(), status=Status.RUNNING)
    stopped = replace(running, status=Status.STOPPED, percent=0)
    found: Iterator[Report | Exception] = iter(
        [
            Report(PLAN, running, NOW, running.percent),
            StoreUnreachable("PostgreSQL is gone"),
            Report(PLAN, stopped, NOW, 0),
        ]
    )

    async def report(*_: object) -> Report:
        match next(found):
            case Exception() as error:
                raise error
            case seen:
                return seen

    monkeypatch.setattr(status, "_report", report)


async def _watch(view: Any) -> int:
    return await status._watch(None, None, 0, view)  # type: ignore[arg-type]


@pytest.mark.usefixtures("looks")
def test_lines_go_on_after_a_failed_look() -> None:
    """A look that cannot be had is said; the end is told by the exit code."""

    @click.command()
    def watch() -> None:
        click.get_current_context().exit(asyncio.run(_watch(status._Lines(as_json=False))))

    outcome = CliRunner().invoke(watch)
    assert outcome.exit_code == FAILS
    first, last = outcome.stdout.splitlines()
    assert f"{PLAN.flag} running; " in first
    assert f"{PLAN.flag} stopped; " in last
    assert outcome.stderr.endswith("PostgreSQL is gone\n")


async def test_what_was_never_started_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to watch: it ends with the reason, as `status` does."""

    class Nothing:
        """A store in which no rollout was ever started."""

        async def load(self, flag: str) -> None:
            del flag

    @asynccontextmanager
    async def nothing(*_: object, **__: object) -> AsyncIterator[Nothing]:
        yield Nothing()

    monkeypatch.setattr(status, "open_store", nothing)
    parts = SimpleNamespace(plan=PLAN)
    with pytest.raises(Failure, match="was never started"):
        await status._watch(None, parts, 0, status._Lines(as_json=False))  # type: ignore[arg-type]


@pytest.mark.usefixtures("looks")
async def test_a_terminal_keeps_the_last_look() -> None:
    """What was seen last stays, with why there is nothing newer under it."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, height=200)
    with Live(console=console, auto_refresh=False) as live:
        assert await _watch(status._Screen(live)) == FAILS
    told = file.getvalue()
    failed = told.index("PostgreSQL is gone")
    assert told[:failed].count("running, phase") == 2
    assert "stopped, before" in told[failed:]
