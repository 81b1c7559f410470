"""Options that several commands of a rollout take."""

import getpass
import os

import click


def _actor(_context: click.Context, _parameter: click.Parameter, name: str | None) -> str:
    """Return who acts: the given name, or the user's of this machine."""
    if name is None:
        try:
            return getpass.getuser()
        except (KeyError, OSError):  # As in a container; which one depends on the Python.
            return f"uid {os.getuid()}"
    if not name.strip():
        raise click.BadParameter("It must not be empty.")
    return name


def _reason(_context: click.Context, _parameter: click.Parameter, reason: str) -> str:
    """Return a reason in one line; one that is asked for must say something."""
    if _parameter.required and not reason.strip():
        raise click.BadParameter("It must not be empty.")
    return " ".join(reason.split())


def _targets(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> list[str]:
    """Return every target of a list of lists."""
    targets = [each.strip() for text in given for each in text.split(",")]
    for target in targets:
        host, _, port = target.rpartition(":")
        if not (host and port.isascii() and port.isdecimal()):
            raise click.BadParameter(f"{target!r} is not a host and a port, such as 10.0.0.7:9464.")
    return targets


flag_argument = click.argument("flag")
reason_option = click.option(
    "--reason", default="", callback=_reason, metavar="TEXT", help="Why, for the record."
)
required_reason_option = click.option(
    "--reason", required=True, callback=_reason, metavar="TEXT", help="Why, for the record."
)
actor_option = click.option(
    "--as",
    "actor",
    callback=_actor,
    metavar="NAME",
    help="Who does it, for the record.  [default: the user of this machine]",
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Print what would be changed, and change nothing."
)
targets_option = click.option(
    "--targets",
    multiple=True,
    callback=_targets,
    metavar="HOST:PORT,...",
    help="The admin ports of all servers, to see that every worker follows; may be repeated.  "
    "[default: the workers that PATRON_PROMETHEUS_URL knows]",
)
