"""What `patron rollout status` and `watch` show: where a rollout stands, and why."""

import asyncio
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from flags.rollout import phases
from flags.rollout.documents import to_document
from flags.rollout.looking import fresh_until, is_fresh, last_looked, take_look
from flags.rollout.plan import Plan
from flags.rollout.ports import FlagUnusable, SwitchUnreachable
from flags.rollout.state import State
from server.cli.errors import Failure, failure
from server.cli.rollout import table
from server.cli.rollout.opening import open_store, without_log
from server.cli.rollout.parts import Parts, open_parts
from server.cli.rollout.table import Report
from server.settings import Settings


class _NeverStarted(Failure):
    """There is nothing to tell of yet, nor to wait for."""


def show_status(flag: str, *, as_json: bool, data_dir: Path | None) -> None:
    """Print where a rollout stands, and exit with what that means."""
    settings = Settings.load(data_dir=data_dir)
    with without_log(), open_parts(settings, flag, create=False) as parts:
        report = asyncio.run(_report(settings, parts))
    if as_json:
        click.echo(json.dumps(_document(report)))
    else:
        Console().print(table.render(report))
    sys.exit(report.exit_code)


def watch_status(flag: str, *, every: float, as_json: bool, data_dir: Path | None) -> None:
    """Print where a rollout stands until it ends, and exit with what that means."""
    settings = Settings.load(data_dir=data_dir)
    console = Console()
    with ExitStack() as stack:
        stack.enter_context(without_log())
        parts = stack.enter_context(open_parts(settings, flag, create=False))
        view: _Lines | _Screen = _Lines(as_json=as_json)
        if console.is_terminal and not as_json:
            view = _Screen(stack.enter_context(Live(console=console, auto_refresh=False)))
        code = asyncio.run(_watch(settings, parts, every, view))
    sys.exit(code)


class _Lines:
    """Shows each look as a line."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def show(self, report: Report) -> None:
        """Show a look."""
        click.echo(json.dumps(_document(report)) if self._as_json else table.one_line(report))

    def fail(self, problem: str) -> None:
        """Show why there is none."""
        click.echo(f"{table.clock(time.time())} {table.plain(problem)}", err=True)


class _Screen:
    """Shows the last look as a whole, in place of the one before."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._last: RenderableType = ""

    def show(self, report: Report) -> None:
        """Show a look."""
        self._last = table.render(report)
        self._live.update(self._last, refresh=True)

    def fail(self, problem: str) -> None:
        """Show why there is none now, under the last one."""
        told = Text(f"{table.clock(time.time())} {table.plain(problem)}", style="bold red")
        self._live.update(Group(self._last, told), refresh=True)


async def _watch(settings: Settings, parts: Parts, every: float, view: _Lines | _Screen) -> int:
    """Show looks until the rollout ends; return how to exit.

    Raises:
        Failure: It was never started.
    """
    while True:
        try:
            report = await _report(settings, parts)
        except _NeverStarted:
            raise
        except Exception as error:
            expected = error if isinstance(error, Failure) else failure(error)
            if expected is None:
                raise
            view.fail(expected.message)
        else:
            view.show(report)
            if report.state.status not in table.GOING:
                return report.exit_code
        await asyncio.sleep(every)


async def _report(settings: Settings, parts: Parts) -> Report:
    """Return where the rollout stands now.

    Raises:
        StoreUnreachable: The database doesn't tell.
        Failure: It was never started.
    """
    plan, now = parts.plan, time.time()
    # Nothing is recorded by looking.
    async with open_store(parts, settings, dry_run=True) as store:
        saved = await store.load(plan.flag)
    if saved is None:
        raise _NeverStarted(f"The rollout of {plan.flag} was never started.")
    state, failed, remarks = saved.state, None, _of_controller(plan, saved.state, now)
    if state.status in table.GOING and parts.evidence is not None:
        look = await take_look(plan, state, parts.evidence, now)
        if look.verdict is not None:
            state = replace(state, look=look)
        else:
            failed = look
            remarks.append("The criteria are those of the controller's last look.")
    elif state.status in table.GOING:
        remarks.append("PATRON_PROMETHEUS_URL is not set: this is the controller's last look.")
    found = None
    try:
        found = (await parts.switch.read(plan.flag)).percent
    except (FlagUnusable, SwitchUnreachable) as error:
        remarks.append(f"The flag cannot be read: {error}")
    return Report(plan, state, now, found, failed, tuple(remarks))


def _of_controller(plan: Plan, state: State, now: float) -> list[str]:
    """Return what is to be said of the controller."""
    if is_fresh(plan, state, now):
        return []
    last = table.clock(last_looked(state))
    return [f"The controller has not looked since {last}: is it running?"]


def _document(report: Report) -> dict[str, Any]:
    """Return the same for programs."""
    rollout = {
        "plan": msgspec.to_builtins(report.plan, str_keys=True),
        "state": to_document(report.state),
        "now": report.now,
        "time_left": phases.time_left(report.plan, report.state, report.now),
        "fresh_until": fresh_until(report.plan, report.state),
        "found": report.found,
        "go": report.exit_code == 0,
        "problem": report.problem,
        "remarks": report.remarks,
        "queries": msgspec.to_builtins(report.readings),
    }
    return {"rollouts": [rollout]}
