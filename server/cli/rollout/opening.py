"""Opening the parts for a person, who wants to read what is said and no log lines."""

import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import click
import structlog

from flags.rollout.descent import flush_spool
from flags.rollout.spool import Spool
from server.cli.rollout.parts import Parts
from server.cli.rollout.table import describe_entry
from server.settings import Settings

if TYPE_CHECKING:
    from server.storage.rollouts import PostgresRollouts


@contextmanager
def without_log() -> Iterator[None]:
    """Log nothing but warnings, and these to stderr, meanwhile."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


@asynccontextmanager
async def open_store(
    parts: Parts, settings: Settings, *, dry_run: bool = False
) -> "AsyncIterator[PostgresRollouts]":
    """Lend the store, once it knows of the roll backs that it has missed."""
    spool = Spool(settings.data_dir)
    async with parts.store() as store:
        if dry_run:
            for owed in spool.read():
                click.echo(f"Not yet recorded: {describe_entry(owed.entry)}", err=True)
        else:
            for owed in await flush_spool(spool, store, {parts.plan.flag: parts.plan}):
                click.echo(f"Recorded only now: {describe_entry(owed.entry)}", err=True)
        yield store
