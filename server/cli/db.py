"""`patron db`: the database's schema, and the totals kept in it."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from server.cli.announcing import announcing, shared_redis
from server.cli.databases import maintenance_database, owner_database
from server.cli.errors import FAILED
from server.cli.options import data_dir_option
from server.settings import Settings

if TYPE_CHECKING:
    from server.storage.verify import Difference


@click.group(no_args_is_help=True)
def db() -> None:
    """Migrate, verify and rebuild the database."""


@db.command()
@data_dir_option
def migrate(data_dir: Path | None) -> None:
    """Bring the schema to the newest version. Does nothing when it is there already."""
    from server.storage.migrate import migrate

    with owner_database(Settings.load(data_dir=data_dir)) as url:
        asyncio.run(migrate(url))
    click.echo("The schema is up to date.")


@db.command()
@data_dir_option
def verify(data_dir: Path | None) -> None:
    """Check the bills, and compare the ledger and the kept totals with a recomputation from them.

    Prints every difference and exits with 1 if there is one.
    """
    with maintenance_database(Settings.load(data_dir=data_dir), create=False) as url:
        merchants, differences = asyncio.run(_verify(url))
    counted = f"{merchants} merchant{'' if merchants == 1 else 's'}"
    if differences:
        click.echo(f"{differences} difference{'' if differences == 1 else 's'} in {counted}.")
        sys.exit(FAILED)
    click.echo(f"{counted} verified.")


async def _verify(url: str) -> tuple[int, int]:
    from server.storage.verify import verify

    merchants = differences = 0
    async for report in verify(url):
        merchants += 1
        differences += len(report.differences)
        for difference in report.differences:
            click.echo(_describe(report.merchant_id, difference))
    return merchants, differences


def _describe(merchant_id: UUID, difference: "Difference") -> str:
    key = ", ".join(f"{column} {value}" for column, value in difference.key.items())
    return (
        f"merchant {merchant_id}: {difference.table} ({key}): {difference.column} is "
        f"{difference.stored}, recomputed {difference.recomputed}"
    )


@db.command()
@click.option("--merchant", "merchant_id", type=click.UUID, help="Only this merchant's.")
@data_dir_option
def rebuild(merchant_id: UUID | None, data_dir: Path | None) -> None:
    """Compute the kept totals anew from the bills.

    One of all merchants that was interrupted goes on where it was when run again.
    """
    settings = Settings.load(data_dir=data_dir)
    with maintenance_database(settings, create=False) as url, shared_redis(settings) as redis_url:
        done = asyncio.run(_rebuild(url, redis_url, merchant_id))
    click.echo(f"{done} merchant{'' if done == 1 else 's'} rebuilt.")


async def _rebuild(url: str, redis_url: str | None, merchant_id: UUID | None) -> int:
    from server.cli.progress import Progress
    from server.storage.rebuild import rebuild

    done = 0
    with Progress("rebuilt", "merchants") as progress:
        async with announcing(redis_url) as announce:
            async for step in rebuild(url, merchant_id):
                done = step.done
                await announce(step.merchant_id, step.revision)
                progress.update(step.done, step.total)
    return done
