"""`patron serve`: the server."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from server.settings import Settings

if TYPE_CHECKING:
    from server.embedded import RunningServer


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
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
def serve(
    *,
    data_dir: Path | None,
    host: str | None,
    port: int | None,
    admin_port: int | None,
    until_stdin_closes: bool,
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    PostgreSQL and Valkey are started in the data directory, and stopped at the end, unless the
    environment says where others are. Options win over the environment.
    """
    settings = Settings.load(data_dir=data_dir, host=host, port=port, admin_port=admin_port)
    if until_stdin_closes:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    _serve(settings)


def _serve(settings: Settings) -> None:
    from server.main import serve as run

    if settings.is_development and settings.embeds_database:
        from server.cli import merchants
        from server.cli.databases import maintenance_database
        from server.cli.welcome import welcome

        with maintenance_database(settings) as url:
            merchants.ensure_demo_merchant(url)
            # The calls that it tells to paste are plain.
            plain = settings.tls_cert_file is None
            _run(run(settings, ready=partial(welcome, settings) if plain else _announce))
    else:
        _run(run(settings, ready=_announce))


def _run(server: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=_event_loop) as runner:
        runner.run(server)


def _event_loop() -> asyncio.AbstractEventLoop:
    """Return a loop of uvloop where there is one: it is faster."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _announce(server: "RunningServer") -> None:
    click.echo(f"Patron serves at {server.target}.")


def _stop_at_end_of_input() -> None:
    """Stop as by SIGTERM when the process that holds the other end of stdin is gone."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
