"""`patron rollout rollback`: down at once, whatever else is down."""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from flags.rollout.descent import Descent, descend, flush_spool, lower, owe, settle, settled
from flags.rollout.sightings import (
    Sighting,
    Workers,
    WorkersAt,
    WorkersOfPrometheus,
    WorkersUnknown,
    wait_until_seen,
)
from flags.rollout.spool import Owed, Spool
from flags.rollout.state import State
from server.cli.databases import maintenance_database
from server.cli.errors import Failure, failure
from server.cli.options import data_dir_option, json_option
from server.cli.rollout import table
from server.cli.rollout.exits import UNSEEN
from server.cli.rollout.opening import without_log
from server.cli.rollout.options import actor_option, dry_run_option, flag_argument, reason_option
from server.cli.rollout.parts import find_plan, unleash_switch
from server.settings import Settings

if TYPE_CHECKING:
    from flags.rollout.plan import Plan

_LAG: Final = 2.0
"""Seconds that Unleash may take to tell a change, beside the workers' interval of asking."""


def _targets(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> list[str]:
    """Return every target of a list of lists."""
    targets = [each.strip() for text in given for each in text.split(",")]
    for target in targets:
        host, _, port = target.rpartition(":")
        if not (host and port.isascii() and port.isdecimal()):
            raise click.BadParameter(f"{target!r} is not a host and a port, such as 10.0.0.7:9464.")
    return targets


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of the wait for the workers."""

    seen: bool | None
    """Whether every worker has seen it; None: nobody was asked."""
    sightings: list[Sighting]
    told: str


@click.command(
    epilog=f"""\
\b
Exits with
  0  the flag is down; every worker has seen it, or nobody was to be asked
  1  the flag could not be moved, or that it was could be recorded nowhere
  2  wrong use
  {UNSEEN}  the flag is down; not every worker is known to have seen it"""
)
@flag_argument
@click.option(
    "--to",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="The share to go back to.  [default: the last good phase's; from the first, 0]",
)
@click.option(
    "--targets",
    multiple=True,
    callback=_targets,
    metavar="HOST:PORT,…",
    help="The admin ports of all servers, to see that every worker follows; may be repeated.  "
    "[default: the workers that PATRON_PROMETHEUS_URL knows]",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the workers.",
)
@reason_option
@actor_option
@dry_run_option
@json_option
@data_dir_option
def rollback(
    flag: str,
    *,
    to: int | None,
    targets: list[str],
    wait: float,
    reason: str,
    actor: str,
    dry_run: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Take FLAG back to the last good phase, or to a share, and stop its rollout until `start`.

    Works without the controller, Prometheus and the database: while that is down, the record waits
    in a file of the data directory, and the next command or the controller there enters it. A share
    that is lower already stays as it is.
    """
    settings = Settings.load(data_dir=data_dir)
    plan = find_plan(settings, flag)
    with without_log():
        descent = asyncio.run(_descend(settings, plan, to, dry_run=dry_run))
        owed = owe(flag, descent, at=time.time(), actor=actor, reason=reason)
        if dry_run:
            _tell_dry(settings, plan, owed, as_json=as_json)
            return
        _say(f"{flag}: {descent.found} % → {descent.percent} %", as_json=as_json)
        problem = _record(settings, plan, owed)
        if problem is not None:
            click.echo(f"Warning: {problem}", err=True)
        outcome = asyncio.run(_wait(settings, targets, owed, patience=wait))
    _say(outcome.told, as_json=as_json)
    if as_json:
        known = _document(owed, dry_run=False) | {"recorded": problem is None}
        workers = {"seen": outcome.seen, "workers": msgspec.to_builtins(outcome.sightings)}
        click.echo(json.dumps(known | workers))
    if outcome.seen is False:
        sys.exit(UNSEEN)


async def _descend(settings: Settings, plan: "Plan", to: int | None, *, dry_run: bool) -> Descent:
    switch = unleash_switch(settings)
    found = (await switch.read(plan.flag)).percent
    descent = descend(plan, found, to)
    return descent if dry_run else await lower(switch, plan.flag, descent)


def _record(settings: Settings, plan: "Plan", owed: Owed) -> str | None:
    """Record a roll back in the database, or else in the spool; return why not in the former.

    Raises:
        Failure: Neither takes it.
    """
    spool = Spool(settings.data_dir)
    # In the file first: whoever loses patience with a database that hangs loses no record.
    unspooled = None
    try:
        spool.append(owed)
    except OSError as error:
        unspooled = error
    try:
        with maintenance_database(settings, create=False) as url:
            asyncio.run(_settle(url, plan, spool, owed))
    except Exception as error:
        expected = failure(error)
        if expected is None and not isinstance(error, Failure):
            raise
        problem = (expected or error).message if isinstance(error, Failure) or expected else ""
        if unspooled is not None:
            raise Failure(
                f"The flag is rolled back, but no record of it could be kept: {problem}; "
                f"{unspooled}. It is: {table.describe_entry(owed.entry)}"
            ) from error
        return f"the database cannot be used; the record waits in {spool.file}: {problem}"
    return None
