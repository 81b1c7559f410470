"""The command line: `patron-load`."""

import json
from typing import Any, Final

import click

from load.cli.command import CommandWithReport
from load.cli.options import Flag, configuration_flags
from load.cli.report import report
from load.config.model import Config
from load.config.printing import to_file
from load.config.resolving import resolve

_RUN: Final = "Configuration and processes"
_GATES: Final = "Gates: what is not shown ends with exit code 99, a regression with 98"


@click.command(
    cls=CommandWithReport,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every switch can be undone by its --no- form. Durations are 500ms, 20s, 1m30s."
    " `patron-load report FILE` shows a saved report again.",
)
@click.option(
    "--config", cls=Flag, heading=_RUN, metavar="PATH", help="A file of options; flags go first."
)
@click.option(
    "--print-config",
    cls=Flag,
    heading=_RUN,
    is_flag=True,
    help="Show what all options come to, as a file of options, and run nothing.",
)
@click.option(
    "--processes",
    cls=Flag,
    heading=_RUN,
    type=click.IntRange(1),
    metavar="N",
    help="How many processes generate the load: as many as there are cores and connections for.",
)
@configuration_flags
@click.option(
    "--threshold",
    "thresholds",
    cls=Flag,
    heading=_GATES,
    multiple=True,
    metavar="LIMIT",
    help="Such as 'p95<2s', 'error_rate<0.1%', 'response.p99<=50ms'; can be repeated.",
)
@click.option(
    "--against",
    cls=Flag,
    heading=_GATES,
    metavar="HOST",
    help="Compare with this server: runs of both take turns.",
)
@click.option(
    "--runs",
    cls=Flag,
    heading=_GATES,
    type=click.IntRange(5),
    metavar="N",
    help="How many runs of each, with --against.  [default: 5, which is the least]",
)
@click.option(
    "--baseline",
    cls=Flag,
    heading=_GATES,
    metavar="PATH",
    help="Compare with this report of the same machine, in JSON, made with --calibrate.",
)
@click.option(
    "--max-regression",
    cls=Flag,
    heading=_GATES,
    metavar="SHARE",
    help="By how much a figure may be worse.  [default: 5%, with --baseline 25%]",
)
@click.option(
    "--calibrate",
    cls=Flag,
    heading=_GATES,
    is_flag=True,
    help="Measure how fast this machine is before the run, so that it can be a --baseline.",
)
@click.version_option(None, "-v", "--version", package_name="patron", prog_name="patron-load")
@click.pass_context
def main(
    ctx: click.Context,
    /,
    config: str | None,
    print_config: bool,  # noqa: FBT001 - as click has it.
    **given: Any,  # noqa: ANN401
) -> None:
    """Call a gRPC method again and again, and report how that went.

    The options are those of ghz, and so are its files of options in JSON, TOML and YAML.
    """
    flags = {field: given.pop(field) for field in Config.__struct_fields__}
    said = {field: value for field, value in flags.items() if value is not None}
    resolved = resolve(config or "", said)
    for warning in resolved.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if print_config:
        click.echo(json.dumps(to_file(resolved.config), ensure_ascii=False, indent=2))
        return
    # Only now: --help and --print-config need not wait for gRPC.
    from load.cli.running import Asked, execute

    ctx.exit(execute(resolved, Asked(**given)))


main.others = {"report": report}
