"""What `patron rollout rollback` does: down at once, whatever else is down."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from flags.rollout.descent import Descent, descend, flush_spool, lower, owe, settle, settled
from flags.rollout.documents import to_document
from flags.rollout.plan import Plan
from flags.rollout.ports import SwitchUnreachable
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
from server.cli.rollout import table
from server.cli.rollout.exits import UNSEEN
from server.cli.rollout.opening import without_log
from server.cli.rollout.parts import find_plan, unleash_switch
from server.settings import Settings

_LAG: Final = 2.0
"""Seconds that Unleash may take to tell a change, beside the workers' interval of asking."""

_WITHOUT_UNLEASH: Final = (
    "The workers keep the last share that they know; docs/rollout.md, The rollback plan, tells how "
    "to switch the feature off without Unleash."
)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of the wait for the workers."""

    seen: bool | None
    """Whether every worker has seen it; None: nobody was asked."""
    sightings: list[Sighting]
    told: str


def roll_back(
    flag: str,
    *,
    to: int | None,
    targets: Sequence[str],
    wait: float,
    reason: str,
    actor: str,
    dry_run: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Roll back, tell of it, and exit with whether every worker has seen it."""
    settings = Settings.load(data_dir=data_dir)
    plan = find_plan(settings, flag)
    with without_log():
        descent = asyncio.run(_descend(settings, plan, to, dry_run=dry_run))
        owed = owe(flag, descent, at=time.time(), actor=actor, reason=reason)
        if dry_run:
            _tell_dry(settings, plan, owed, as_json=as_json)
            return
        _say(f"{flag}: {_describe(descent.found, descent.percent)}", as_json=as_json)
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


async def _descend(settings: Settings, plan: Plan, to: int | None, *, dry_run: bool) -> Descent:
    switch = unleash_switch(settings)
    try:
        found = (await switch.read(plan.flag)).percent
        descent = descend(plan, found, to)
        return descent if dry_run else await lower(switch, plan.flag, descent)
    except SwitchUnreachable as error:
        raise Failure(f"{error}. {_WITHOUT_UNLEASH}") from error


def _describe(found: int, percent: int) -> str:
    """Return what becomes of the share."""
    if found == percent:
        return f"stays at {found} %, no more than was asked for; only the rollout is stopped"
    return f"{found} % → {percent} %"


def _record(settings: Settings, plan: Plan, owed: Owed) -> str | None:
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
            asyncio.run(_settle(url, plan, owed, spool if unspooled is None else None))
    except Exception as error:
        expected = error if isinstance(error, Failure) else failure(error)
        if expected is None:
            raise
        if unspooled is not None:
            raise Failure(
                f"The flag is rolled back, but no record of it could be kept: {expected.message}; "
                f"{unspooled}. It is: {table.describe_entry(owed.entry)}"
            ) from error
        return f"the database cannot be used, the record waits in {spool.file}: {expected.message}"
    return None


async def _settle(url: str, plan: Plan, owed: Owed, spool: Spool | None) -> None:
    from server.storage.rollouts import PostgresRollouts

    async with PostgresRollouts.connect(url) as store:
        await settle(plan, store, owed)
        if spool is not None:
            # Recorded again by this, it is there once.
            await flush_spool(spool, store, {plan.flag: plan})


async def _wait(
    settings: Settings, targets: Sequence[str], owed: Owed, *, patience: float
) -> _Outcome:
    lag = settings.flags_refresh_seconds + _LAG
    at_most = f"Those that reach Unleash follow within {lag:g} s, by PATRON_FLAGS_REFRESH_SECONDS."
    workers: Workers
    if targets:
        workers = WorkersAt(targets)
    elif settings.prometheus_url is not None:
        workers = WorkersOfPrometheus(settings.prometheus_url)
    else:
        told = "Whether the workers have seen it is not known: there are neither --targets nor"
        return _Outcome(seen=None, sightings=[], told=f"{told} PATRON_PROMETHEUS_URL. {at_most}")
    percent = owed.entry.percent
    progress = _Progress(percent)
    try:
        seen = await wait_until_seen(
            workers, owed.flag, percent, patience=patience, tell=progress.tell
        )
    except WorkersUnknown as error:
        told = f"Whether the workers have seen it is not known: {error}. {at_most}"
        return _Outcome(seen=False, sightings=progress.last, told=told)
    told = f"Every worker lets in at most {percent} %: {len(progress.last)} of them."
    if not seen:
        told = f"After {patience:g} s not every worker is known to let in at most {percent} %. "
        told += at_most
    return _Outcome(seen=seen, sightings=progress.last, told=told)


class _Progress:
    """Says on stderr how many workers have followed, when that changes."""

    def __init__(self, percent: int) -> None:
        self.last: list[Sighting] = []
        self._percent = percent

    def tell(self, sightings: list[Sighting]) -> None:
        """Tell of what the workers say."""
        if sightings == self.last:
            return
        self.last = sightings
        late = [each for each in sightings if not each.is_at_most(self._percent)]
        told = f"{len(sightings) - len(late)} of {len(sightings)} workers have seen it"
        waited = ", ".join(f"{each.worker} ({_share(each)})" for each in late)
        click.echo(table.plain(f"{told}; waiting for {waited}" if late else told), err=True)


def _share(sighting: Sighting) -> str:
    return "says nothing" if sighting.percent is None else f"{sighting.percent:g} %"


def _tell_dry(settings: Settings, plan: Plan, owed: Owed, *, as_json: bool) -> None:
    """Print what would be done."""
    before, problem = _peek(settings, plan)
    after = settled(plan, before, owed) if before else None
    if problem is not None:
        click.echo(f"Warning: the state is not known: {problem}", err=True)
    if as_json:
        state = to_document(after) if after else None
        click.echo(json.dumps(_document(owed, dry_run=True) | {"state": state}))
        return
    click.echo(f"Dry run, nothing is changed. {plan.flag}: rollback by {owed.entry.actor} would do")
    rows = list(table.changes(before, after, plan)) if after else []
    rows.append(("share", _describe(owed.found, owed.entry.percent)))
    rows.append(("record", table.describe_entry(owed.entry)))
    for name, value in rows:
        click.echo(table.plain(f"  {name:<11}{value}"))


def _peek(settings: Settings, plan: Plan) -> tuple[State | None, str | None]:
    """Return the state, or why it is not known."""
    try:
        with maintenance_database(settings, create=False) as url:
            return asyncio.run(_load(url, plan.flag)), None
    except Exception as error:
        expected = error if isinstance(error, Failure) else failure(error)
        if expected is None:
            raise
        return None, expected.message


async def _load(url: str, flag: str) -> State | None:
    from server.storage.rollouts import PostgresRollouts

    async with PostgresRollouts.connect(url) as store:
        saved = await store.load(flag)
    return saved.state if saved else None


def _document(owed: Owed, *, dry_run: bool) -> dict[str, Any]:
    return {
        "flag": owed.flag,
        "action": "rollback",
        "dry_run": dry_run,
        "share": {"from": owed.found, "to": owed.entry.percent},
        "entry": msgspec.to_builtins(owed.entry),
    }


def _say(text: str, *, as_json: bool) -> None:
    """Print a line for people; beside JSON on stderr."""
    click.echo(table.plain(text), err=as_json)
