"""`patron worker`: one of the processes of `patron serve`, which starts it."""

import asyncio
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from server.cli.errors import Failure
from server.cli.standard_input import at_end_of_input
from server.settings import Settings

if TYPE_CHECKING:
    from server.main import Serving


class _Temporary(Failure):
    """What keeps the worker from serving may be over soon: another try is worth it."""

    exit_code = os.EX_TEMPFAIL


@click.command(hidden=True)
@click.option("--number", type=int, required=True)
def worker(*, number: int) -> None:
    """Serve as one of several processes, until SIGTERM or the end of stdin.

    All settings come from the environment. Where it serves is printed as one line of JSON.
    """
    orphaned = threading.Event()

    def end() -> None:
        orphaned.set()
        os.kill(os.getpid(), signal.SIGTERM)

    # At once: the supervisor may be gone before all is imported.
    at_end_of_input(end)
    settings = Settings.load()
    from server.logs import configure_logging
    from server.main import serve
    from server.storage.errors import DatabaseUnreachable

    configure_logging(settings.log_level.upper(), worker=number)
    with asyncio.Runner(loop_factory=_event_loop) as runner:
        try:
            runner.run(serve(settings, number=number, ready=_tell, orphaned=orphaned.is_set))
        except DatabaseUnreachable as error:
            raise _Temporary(str(error)) from error


def _tell(server: "Serving") -> None:
    from server.workers.process import Ready

    click.echo(Ready(server.target, server.admin).to_line(), nl=False)
    # Nobody reads on: what anything prints from now on belongs to the log.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _event_loop() -> asyncio.AbstractEventLoop:
    """Return a loop of uvloop where there is one: it is faster."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
