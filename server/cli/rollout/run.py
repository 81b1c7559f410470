"""`patron rollout run`: the controller."""

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import click

from server.cli.databases import maintenance_database
from server.cli.options import data_dir_option
from server.cli.rollout.page import rollouts_pages
from server.cli.rollout.parts import find_plan, prometheus_evidence, unleash_switch
from server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flags.rollout.plan import Plan
    from flags.rollout.prometheus import PrometheusEvidence
    from flags.rollout.unleash_admin import UnleashSwitch

_CLOSING_SECONDS: Final = 2.0


@click.command()
@click.argument("flags", metavar="FLAG...", nargs=-1, required=True)
@data_dir_option
def run(flags: tuple[str, ...], data_dir: Path | None) -> None:
    """Control the rollouts of FLAG..., each when it was started, until SIGTERM or Ctrl-C.

    Looks at the criteria of the flag's rollout file, and moves the flag in Unleash. Several
    controllers may run: one of them controls, the others stand by. /metrics, /healthz
    and /rollouts are at PATRON_ROLLOUT_ADMIN_HOST and PATRON_ROLLOUT_ADMIN_PORT.
    """
    settings = Settings.load(data_dir=data_dir)
    plans = [find_plan(settings, flag) for flag in dict.fromkeys(flags)]
    switch = unleash_switch(settings)
    evidence = [prometheus_evidence(settings, plan) for plan in plans]
    from server.logs import configure_logging

    configure_logging(settings.log_level.upper())
    with maintenance_database(settings) as url:
        asyncio.run(_control(settings, list(zip(plans, evidence, strict=True)), switch, url))


async def _control(
    settings: Settings,
    plans: "Sequence[tuple[Plan, PrometheusEvidence]]",
    switch: "UnleashSwitch",
    database_url: str,
) -> None:
    from importlib.metadata import version

    import structlog
    from prometheus_client import CollectorRegistry

    from flags.rollout.controller import Controller
    from flags.rollout.spool import Spool
    from server.admin import AdminServer
    from server.health import Health
    from server.metrics import Readings
    from server.metrics.rollouts import show_rollouts
    from server.sentry import capture_hold, close_sentry, init_sentry
    from server.storage.rollouts import PostgresRollouts

    stop = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, stop.set)
    log = structlog.get_logger()
    async with AsyncExitStack() as stack:
        init_sentry(
            settings.sentry_dsn, environment=settings.environment, release=version("patron")
        )
        stack.push_async_callback(asyncio.to_thread, close_sentry, _CLOSING_SECONDS)
        store = await stack.enter_async_context(PostgresRollouts.connect(database_url))
        holder = _name()
        controllers = {
            plan.flag: Controller(
                plan,
                switch=switch,
                evidence=evidence,
                store=store,
                holder=holder,
                report=capture_hold,
                spool=Spool(settings.data_dir),
            )
            for plan, evidence in plans
        }
        registry = CollectorRegistry()
        show_rollouts(Readings(registry), controllers)
        # What it waits for may be gone for a while: a restart would not bring it back.
        health = Health(asyncio.get_running_loop(), needed={}, helpful={"database": store.ping})
        admin = stack.enter_context(
            AdminServer(
                registry=registry,
                health=health,
                pages=rollouts_pages(settings, database_url),
                host=settings.rollout_admin_host,
                port=settings.rollout_admin_port,
            )
        )
        log.info("controlling", flags=list(controllers), admin=admin.address)
        async with asyncio.TaskGroup() as group:
            for controller in controllers.values():
                group.create_task(controller.run(stop))
    log.info("stopped")


def _name() -> str:
    """Return a name that no other controller has, and that tells a reader where this one is."""
    return f"{socket.gethostname()} {os.getpid()} {uuid4()}"
