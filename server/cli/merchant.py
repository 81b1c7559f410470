"""`patron merchant`: the merchants of a database."""

import json
import uuid
from pathlib import Path
from uuid import UUID

import click

from domain.model.merchant import Merchant
from server.cli import merchants
from server.cli.announcing import shared_redis
from server.cli.databases import maintenance_database
from server.cli.options import (
    currency,
    data_dir_option,
    json_option,
    merchant_name,
    region,
    time_zone,
)
from server.settings import Settings


@click.group(no_args_is_help=True)
def merchant() -> None:
    """Create merchants and change their settings."""


@merchant.command()
@click.option("--name", required=True, type=merchant_name, metavar="TEXT", help="What to call it.")
@click.option(
    "--currency",
    required=True,
    type=currency,
    metavar="CODE",
    help="The ISO 4217 code of its currency, such as USD; fixed once there is a bill.",
)
@click.option(
    "--time-zone",
    required=True,
    type=time_zone,
    metavar="NAME",
    help="The IANA name of its time zone, such as America/New_York: it makes the business days.",
)
@click.option(
    "--region",
    required=True,
    type=region,
    metavar="CODE",
    help="The ISO 3166 code of the region of its phone numbers, such as US.",
)
@click.option("--id", "merchant_id", type=click.UUID, help="Its id.  [default: a random one]")
@json_option
@data_dir_option
def create(
    name: str,
    currency: str,
    time_zone: str,
    region: str,
    merchant_id: UUID | None,
    *,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Create a merchant and print its id.

    With the id and the settings of a merchant that is there, nothing changes.
    """
    with maintenance_database(Settings.load(data_dir=data_dir)) as url:
        made = merchants.create(
            url,
            merchant_id or uuid.uuid4(),
            name=name,
            currency=currency,
            time_zone=time_zone,
            region=region,
        )
    _print(made, as_json=as_json)


@merchant.command("set")
@click.argument("merchant_id", type=click.UUID, metavar="ID")
@click.option("--name", type=merchant_name, metavar="TEXT", help="What to call it.")
@click.option(
    "--currency",
    type=currency,
    metavar="CODE",
    help="The ISO 4217 code of its currency; refused once there is a bill.",
)
@click.option(
    "--time-zone",
    type=time_zone,
    metavar="NAME",
    help="The IANA name of its time zone; it applies to later bills.",
)
@click.option(
    "--region",
    type=region,
    metavar="CODE",
    help="The ISO 3166 code of the region of its phone numbers.",
)
@json_option
@data_dir_option
def set_(
    merchant_id: UUID, *, as_json: bool, data_dir: Path | None, **settings: str | None
) -> None:
    """Change settings of the merchant ID and print the id."""
    changes = {name: value for name, value in settings.items() if value is not None}
    if not changes:
        raise click.UsageError("Say what to set: --name, --currency, --time-zone or --region.")
    loaded = Settings.load(data_dir=data_dir)
    with maintenance_database(loaded) as url, shared_redis(loaded) as redis_url:
        changed = merchants.change(url, redis_url, merchant_id, changes)
    _print(changed, as_json=as_json)


def _print(found: Merchant, *, as_json: bool) -> None:
    if as_json:
        settings = {
            "id": str(found.id),
            "name": found.name,
            "currency": found.currency,
            "time_zone": found.time_zone,
            "region": found.region,
        }
        click.echo(json.dumps(settings, ensure_ascii=False))
    else:
        click.echo(found.id)
