"""`patron rollout`: how a feature reaches all merchants, phase by phase."""

import click

from server.cli.rollout.commands import STEERING
from server.cli.rollout.run import run


@click.group(no_args_is_help=True)
def rollout() -> None:
    """Let a feature reach all merchants, phase by phase, guarded by its metrics."""


for _command in (run, *STEERING):
    rollout.add_command(_command)
