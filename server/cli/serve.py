"""`patron serve`: the server."""

import asyncio
import os
import signal
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from server.cli import merchants
from server.cli.standard_input import at_end_of_input
from server.settings import Settings, Transport

if TYPE_CHECKING:
    from server.embedded import RunningServer
    from server.workers import WorkerCommand

_CLOSING_SECONDS = 15.0


class _WithVariables(click.Command):
    """A command whose help tells of every environment variable."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Environment variables"):
            formatter.write_dl(
                [
                    (
                        variable.name,
                        variable.help
                        + ("" if variable.default is None else f"  [default: {variable.default}]"),
                    )
                    for variable in Settings.variables()
                ]
            )


@click.command(cls=_WithVariables)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Instead of PATRON_DATA_DIR.",
)
@click.option("--host", help="Instead of PATRON_HOST.")
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of PATRON_PORT.")
@click.option("--admin-port", type=click.IntRange(0, 65535), help="Instead of PATRON_ADMIN_PORT.")
@click.option("--workers", type=click.IntRange(1, 256), help="Instead of PATRON_WORKERS.")
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
def serve(
    *,
    data_dir: Path | None,
    host: str | None,
    port: int | None,
    admin_port: int | None,
    workers: int | None,
    until_stdin_closes: bool,
) -> None:
    """Serve until SIGTERM or Ctrl-C; on SIGHUP replace the workers one by one.

    PostgreSQL and Valkey are started in the data directory, and stopped at the end, unless the
    environment says where others are. Options win over the environment.
    """
    settings = Settings.load(
        data_dir=data_dir, host=host, port=port, admin_port=admin_port, workers=workers
    )
    settings.require_keys()
    _require_transport(settings)
    if until_stdin_closes:
        at_end_of_input(partial(os.kill, os.getpid(), signal.SIGTERM))
    from server.logs import configure_logging
    from server.workers import WorkerCannotStart

    configure_logging(settings.log_level.upper())
    try:
        _serve(settings)
    except WorkerCannotStart as error:
        # The worker has told the reason.
        sys.exit(error.status)


def _require_transport(settings: Settings) -> None:
    """Check the transport and the files of TLS; raises SettingsError where they cannot be used."""
    files = (settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
    # Without any there is nothing to check, and the supervisor stays smaller without gRPC.
    if settings.transport is not Transport.AUTO or any(files):
        from server.transports import check_transport

        check_transport(settings)


def _serve(settings: Settings) -> None:
    import structlog
    from prometheus_client import CollectorRegistry

    from server.admin import AdminServer
    from server.cli.rollout.page import rollouts_pages
    from server.embedded import DataDirectory, RunningServer
    from server.workers import Supervisor, WorkersCollector, held_port, workers_health

    directory = DataDirectory(settings.data_dir)
    with ExitStack() as stack:
        if settings.embeds_database or settings.redis_url is None:
            stack.enter_context(directory.server_lock())
        port = stack.enter_context(held_port(settings.host, settings.port))
        database_url = _start_databases(settings, stack)
        supervisor = Supervisor(
            settings.workers,
            _worker_command(settings, port),
            stop_seconds=_stop_seconds(settings),
        )
        registry = CollectorRegistry()
        registry.register(WorkersCollector(supervisor.statuses))
        admin = stack.enter_context(
            AdminServer(
                registry=registry,
                health=lambda: workers_health(supervisor.statuses()),
                pages=rollouts_pages(settings, database_url),
                host=settings.admin_host,
                port=settings.admin_port,
            )
        )
        server = RunningServer(os.getpid(), f"{settings.host}:{port}", admin.address)

        def ready() -> None:
            if settings.embeds_database:
                directory.announce(server)
            structlog.get_logger().info("serving", target=server.target, admin=server.admin)
            _greet(settings, server)

        asyncio.run(supervisor.run(ready=ready))


def _start_databases(settings: Settings, stack: ExitStack) -> str | None:
    """Start what is embedded, for as long as the stack is open, with all that workers need.

    Returns:
        The URL of the database, as the serving role; None: no setting says which it is.
    """
    import structlog

    from server.embedded import EmbeddedPostgres, EmbeddedValkey

    embedded = ["PostgreSQL"] * settings.embeds_database + ["Valkey"] * (settings.redis_url is None)
    if embedded:
        structlog.get_logger().info(
            f"starting {' and '.join(embedded)}", data_dir=str(settings.data_dir.resolve())
        )
    database_url = settings.database_url
    if settings.embeds_database:
        from server.storage.migrate import migrate

        urls = stack.enter_context(EmbeddedPostgres(settings.data_dir))
        asyncio.run(migrate(urls.owner))
        database_url = urls.serving
        if settings.is_development:
            merchants.ensure_demo_merchant(urls.maintenance)
    if settings.redis_url is None:
        stack.enter_context(EmbeddedValkey(settings.data_dir))
    return database_url


def _worker_command(settings: Settings, port: int) -> "WorkerCommand":
    from server.workers import WorkerCommand

    return WorkerCommand(
        (sys.executable, "-m", "server.cli", "worker"),
        # The supervisor's admin port shows what theirs do.
        settings.environment_of(port=port, admin_host="127.0.0.1", admin_port=0),
    )


def _stop_seconds(settings: Settings) -> float:
    """Return how long a worker may take to end: as long as it has work, and some seconds more."""
    # A write that has begun is finished, even when its call has been given up.
    calls = settings.drain_pause + settings.stop_grace_seconds + settings.lock_timeout_seconds
    return calls + _CLOSING_SECONDS


def _greet(settings: Settings, server: "RunningServer") -> None:
    how = " with TLS" if settings.tls_cert_file else ""
    click.echo(
        f"Patron serves at {server.target}{how}; metrics and health are at http://{server.admin}."
    )
    if settings.is_development and not settings.signs_tokens:
        click.echo("Tokens come from your own keys.")
    # The calls that the welcome tells to paste are plain.
    elif settings.signs_tokens and settings.embeds_database and not settings.tls_cert_file:
        from server.cli.welcome import welcome

        welcome(settings, server)
