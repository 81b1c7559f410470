"""Options that several commands of a rollout take."""

import getpass

import click


def _actor(_context: click.Context, _parameter: click.Parameter, name: str | None) -> str:
    """Return who acts: the given name, or the user's of this machine."""
    if name is None:
        return getpass.getuser()
    if not name.strip():
        raise click.BadParameter("It must not be empty.")
    return name


def _reason(_context: click.Context, _parameter: click.Parameter, reason: str) -> str:
    """Return a reason in one line; one that is asked for must say something."""
    if _parameter.required and not reason.strip():
        raise click.BadParameter("It must not be empty.")
    return " ".join(reason.split())


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
