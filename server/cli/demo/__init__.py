"""`patron demo`: real purchases, imported through the API, and what it says of them."""

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from server.cli import merchants, tokens
from server.cli.databases import maintenance_database
from server.cli.errors import Failure
from server.cli.options import data_dir_option
from server.settings import Settings

if TYPE_CHECKING:
    from server.cli.demo.report import Report

_TOKEN_SECONDS = 2 * 3600


@click.command()
@click.option("--target", metavar="HOST:PORT", help="The server to use, with --token.")
@click.option("--token", help="A token for the server, with the scopes to write and report.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one line of JSON, and the tables to stderr."
)
@data_dir_option
def demo(*, target: str | None, token: str | None, as_json: bool, data_dir: Path | None) -> None:
    """Import real purchases and show what they say.

    They are the 69,659 purchases of CDNOW's customers in 1997 and 1998, and become bills of a demo
    merchant. Uses the server that --target names or the one that runs on the data directory, else
    starts one for the time. An import that was interrupted goes on, and a second one changes
    nothing.
    """
    if (target is None) != (token is None):
        raise click.UsageError("--target and --token need each other.")
    if target is not None and token is not None:
        report, seconds = asyncio.run(_run(target, token))
    else:
        settings = Settings.load(data_dir=data_dir)
        if not settings.embeds_database:
            raise click.UsageError("The database is not embedded: name the server with --target.")
        report, seconds = _run_locally(settings)
    _print(report, seconds, as_json=as_json)


def _run_locally(settings: Settings) -> "tuple[Report, float]":
    from server.cli.demo.local_server import local_server

    if settings.tls_cert_file is not None:
        raise Failure("the demo speaks without TLS: unset PATRON_TLS_CERT_FILE")
    token = tokens.sign(
        settings,
        merchants.DEMO_MERCHANT_ID,
        subject="demo",
        scopes=["analytics.read", "bills.write"],
        lifetime=_TOKEN_SECONDS,
    )
    with maintenance_database(settings) as url:
        merchants.ensure_demo_merchant(url)
        with local_server(settings.data_dir, stop_grace=settings.stop_grace_seconds) as target:
            return asyncio.run(_run(target, token))


async def _run(target: str, token: str) -> "tuple[Report, float]":
    """Import the purchases; return the report and how many seconds the import took."""
    import grpc

    from patron.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
    from patron.bill.v1.bill_service_pb2_grpc import BillServiceStub
    from server.cli.demo.importing import import_purchases
    from server.cli.demo.purchases import CURRENCY, read_purchases
    from server.cli.demo.report import fetch_basis, fetch_report
    from server.cli.progress import Progress

    metadata = [("authorization", f"Bearer {token}")]
    purchases = read_purchases()
    async with grpc.aio.insecure_channel(target) as channel:
        analytics = AnalyticsServiceStub(channel)
        basis = await fetch_basis(analytics, metadata)
        if basis.currency != CURRENCY:
            raise Failure(
                f"the purchases are in {CURRENCY}, the merchant's are in {basis.currency}"
            )
        with Progress("imported", "bills") as progress:
            started = time.perf_counter()
            imported = await import_purchases(
                BillServiceStub(channel),
                purchases,
                metadata=metadata,
                time_zone=basis.time_zone,
                imported=lambda done: progress.update(done, len(purchases)),
            )
            seconds = time.perf_counter() - started
        click.echo(
            f"{imported.created:,} bills imported, {imported.existing:,} were there "
            f"already, in {seconds:.1f} s.",
            err=True,
        )
        return await fetch_report(analytics, metadata), seconds


def _print(report: "Report", seconds: float, *, as_json: bool) -> None:
    from rich.console import Console

    report.print_tables(Console(stderr=as_json))
    if as_json:
        click.echo(json.dumps({**report.figures(), "seconds": round(seconds, 3)}))
