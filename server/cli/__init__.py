"""The command line: `patron`."""

import signal
import sys
from typing import Any

import click

from server.cli.db import db
from server.cli.demo import demo
from server.cli.errors import failure
from server.cli.flags import flags
from server.cli.merchant import merchant
from server.cli.rollout import rollout
from server.cli.serve import serve
from server.cli.token import token
from server.cli.unleash import unleash
from server.cli.worker import worker


class _Patron(click.Group):
    """Tells of an expected error in one line, and cleans up when it is told to stop."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it.
        # Databases that a command has started are stopped on the way out.
        before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(128 + signal.SIGINT)
        except Exception as error:
            expected = failure(error)
            if expected is None:
                raise
            raise expected from error
        finally:
            signal.signal(signal.SIGTERM, before)


@click.group(
    cls=_Patron,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(package_name="patron", prog_name="patron")
def main() -> None:
    """Patron: customers, bills, dues and analytics for merchants' apps, over gRPC.

    `patron serve --help` tells which environment variables there are.
    """


for _command in (serve, worker, demo, merchant, token, db, flags, unleash, rollout):
    main.add_command(_command)
