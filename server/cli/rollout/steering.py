"""What `patron rollout start`, `pause`, `resume`, `advance`, `block` and `unblock` do."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from flags.rollout import phases
from flags.rollout.documents import to_document
from flags.rollout.kinds import accepted_since
from flags.rollout.looking import take_look
from flags.rollout.plan import Plan
from flags.rollout.ports import RolloutStore
from flags.rollout.state import Status
from flags.rollout.steering import Action, Step, Wish, overridden, steer
from server.cli.rollout import table
from server.cli.rollout.opening import open_store, without_log
from server.cli.rollout.parts import Parts, open_parts, prometheus_evidence
from server.settings import Settings


def steer_and_tell(
    flag: str,
    name: str,
    *,
    reason: str,
    actor: str,
    dry_run: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Do what the action of a name does, and print what it has changed."""
    action = Action(name)
    settings = Settings.load(data_dir=data_dir)
    with without_log(), open_parts(settings, flag, create=False) as parts:
        asked = Wish(action, actor, reason)
        step = asyncio.run(_steer(settings, parts, asked, dry_run=dry_run))
    if as_json:
        click.echo(json.dumps(_document(flag, action, step, dry_run=dry_run)))
        return
    click.echo(_title(flag, action, actor, dry_run=dry_run))
    for row, value in _rows(parts.plan, action, step):
        click.echo(table.plain(f"  {row:<11}{value}"))


async def _steer(settings: Settings, parts: Parts, wish: Wish, *, dry_run: bool) -> Step:
    at = time.time()
    async with open_store(parts, settings, dry_run=dry_run) as store:
        if wish.action is Action.START:
            evidence = parts.evidence or prometheus_evidence(settings, parts.plan)
            saved = await store.load(parts.plan.flag)
            since = accepted_since(saved.state if saved else None)
            kinds = await evidence.known_kinds(at, accepted_since=since)
            wish = Wish(wish.action, wish.actor, wish.reason, kinds)
        elif wish.action is Action.ADVANCE:
            wish = await _with_overridden(parts, store, wish, at)
        return await steer(
            parts.plan, wish, switch=parts.switch, store=store, at=at, dry_run=dry_run
        )


async def _with_overridden(parts: Parts, store: RolloutStore, wish: Wish, at: float) -> Wish:
    """Return the wish with what it overrides as part of its reason, and warn of that."""
    saved = await store.load(parts.plan.flag)
    if saved is None or saved.state.status is not Status.RUNNING:
        return wish  # It will be refused.
    look = saved.state.look
    if parts.evidence is not None:
        look = await take_look(parts.plan, saved.state, parts.evidence, at)
    what = overridden(parts.plan, saved.state, look, at)
    if what is None:
        return wish
    click.echo(f"Warning: {what}.", err=True)
    reason = f"{wish.reason} (although {what})" if wish.reason else f"Although {what}"
    return Wish(wish.action, wish.actor, reason)


def _title(flag: str, action: Action, actor: str, *, dry_run: bool) -> str:
    told = f"{flag}: {action} by {actor}"
    return table.plain(f"Dry run, nothing is changed. {told} would do" if dry_run else told)


def _rows(plan: Plan, action: Action, step: Step) -> Iterator[tuple[str, str]]:
    yield from table.changes(step.before, step.after, plan)
    if action is Action.RESUME:
        left = table.span(phases.time_left(plan, step.after, step.after.phase_since))
        yield "time", f"the phase begins anew, {left} left at least"
    if step.percent is not None:
        yield "share", f"{step.found} % → {step.percent} %"
    yield "record", table.describe_entry(step.entry)
    if action is Action.START:
        yield from table.describe_plan(plan)


def _document(flag: str, action: Action, step: Step, *, dry_run: bool) -> dict[str, Any]:
    return {
        "flag": flag,
        "action": action,
        "dry_run": dry_run,
        "share": None if step.percent is None else {"from": step.found, "to": step.percent},
        "entry": msgspec.to_builtins(step.entry),
        "state": to_document(step.after),
    }
