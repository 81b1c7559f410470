"""The commands of `patron rollout` that a person steers by; each is a line of what it does."""

from pathlib import Path
from typing import Any, Final

import click

from server.cli.options import data_dir_option, duration, json_option
from server.cli.rollout.exits import FAILS, HOLDS, UNREADABLE, UNSEEN
from server.cli.rollout.options import (
    actor_option,
    dry_run_option,
    flag_argument,
    reason_option,
    required_reason_option,
    targets_option,
)

_EXITS_OF_STATUS: Final = f"""\
\b
Exits with
  0  GO: every criterion is kept so far, or the rollout is completed
  1  the status cannot be told
  2  wrong use
  {HOLDS}  HOLD: too little is known yet, it is paused or blocked, or Unleash does not say that the
     flag has the share that was set
  {FAILS}  FAIL: a criterion is broken, or the rollout was stopped
  {UNREADABLE}  a metric cannot be read, or nobody has looked for too long"""

_EXITS_OF_ROLLBACK: Final = f"""\
\b
Exits with
  0  the flag is down; every worker has seen it, or nobody was to be asked
  1  the flag could not be moved, or that it was could be recorded nowhere
  2  wrong use
  {UNSEEN}  the flag is down; not every worker is known to have seen it"""


def _steering(name: str, meaning: str, *, needs_reason: bool = False) -> click.Command:
    """Return the command of an action."""

    @click.command(name, help=meaning)
    @flag_argument
    @(required_reason_option if needs_reason else reason_option)
    @actor_option
    @dry_run_option
    @json_option
    @data_dir_option
    def command(flag: str, **options: Any) -> None:  # noqa: ANN401 - passed on as they are.
        from server.cli.rollout.steering import steer_and_tell

        steer_and_tell(flag, name, **options)

    return command


start: Final = _steering(
    "start",
    """Begin the rollout of FLAG with the first phase.

    The flag must be on in Unleash and let in no more than that phase will; but after a roll back to
    more than that, it goes on from there. Needs Prometheus, for the kinds of unexpected errors that
    there are without the feature.
    """,
)
pause: Final = _steering(
    "pause",
    """Let the controller of FLAG change nothing, whatever it sees, until `resume`.

    The breaker doesn't act either; to keep it, `block`.
    """,
)
resume: Final = _steering(
    "resume",
    """Let the controller of FLAG go on, from the share that the flag has in Unleash now.

    That is also how it goes on after a person has changed the flag. The phase begins anew.
    """,
)
advance: Final = _steering(
    "advance",
    """Take FLAG to its next phase now, whatever the verdict says.

    What that overrides is said, and recorded.
    """,
)
block: Final = _steering(
    "block",
    """Hold FLAG where it is, whatever the verdict says, until `unblock`.

    The breaker still rolls back.
    """,
    needs_reason=True,
)
unblock: Final = _steering("unblock", "Let the verdict move FLAG again.")


@click.command(epilog=_EXITS_OF_ROLLBACK)
@flag_argument
@click.option(
    "--to",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="The share to go back to.  [default: the last good phase's; from the first, 0]",
)
@targets_option
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the workers.",
)
@reason_option
@actor_option
@dry_run_option
@json_option
@data_dir_option
def rollback(flag: str, **options: Any) -> None:  # noqa: ANN401 - passed on as they are.
    """Take FLAG back to the last good phase, or to a share, and stop its rollout until `start`.

    Works without the controller, Prometheus and the database: while that is down, the record waits
    in a file of the data directory, and the next command or the controller there enters it. A share
    that is lower already stays as it is.
    """
    from server.cli.rollout.rollback import roll_back

    roll_back(flag, **options)


@click.command(epilog=_EXITS_OF_STATUS)
@flag_argument
@json_option
@data_dir_option
def status(flag: str, *, as_json: bool, data_dir: Path | None) -> None:
    """Tell where the rollout of FLAG stands, and whether it may go on: a go/no-go table.

    The criteria are judged now, by what Prometheus says. Where it cannot be read, the controller's
    last look is shown.
    """
    from server.cli.rollout.status import show_status

    show_status(flag, as_json=as_json, data_dir=data_dir)


@click.command(epilog=_EXITS_OF_STATUS)
@flag_argument
@click.option(
    "--every",
    default="5s",
    show_default=True,
    type=duration,
    metavar="DURATION",
    help="How often to look, such as 2s or 1m.",
)
@json_option
@data_dir_option
def watch(flag: str, *, every: float, as_json: bool, data_dir: Path | None) -> None:
    """Show the status of FLAG again and again, until its rollout ends; change nothing.

    Without a terminal, each look is a line.
    """
    from server.cli.rollout.status import watch_status

    watch_status(flag, every=every, as_json=as_json, data_dir=data_dir)


STEERING: Final = (
    start,
    status,
    watch,
    pause,
    resume,
    advance,
    block,
    unblock,
    rollback,
)
"""All of them."""
