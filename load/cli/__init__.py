"""The command line: `patron-load`."""

import json
import os
from collections.abc import Sequence
from typing import Any, Final

import click

from load.cli.command import CommandWithReport
from load.cli.options import Flag, NamedPath, configuration_flags
from load.cli.plans import Plan, plan_of, plan_of_scenario
from load.cli.report import report
from load.config.model import Config
from load.config.resolving import resolve
from load.errors import ConfigError

_RUN: Final = "Configuration and processes"
_SCENARIO: Final = "Scenarios: several calls, as users make them"
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
@click.option(
    "--scenario",
    cls=Flag,
    heading=_SCENARIO,
    metavar="PATH",
    help="A file that says what is called, and how; the flags of what it has go first.",
)
@click.option(
    "--rows",
    cls=Flag,
    heading=_SCENARIO,
    multiple=True,
    type=NamedPath(),
    help="A file of rows instead of the one that the scenario names; can be repeated.",
)
@click.option(
    "--warm-up",
    cls=Flag,
    heading=_SCENARIO,
    metavar="DURATION",
    help="For how long calls are made before any is counted.",
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
    plan = _plan(config, given)
    for warning in plan.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if print_config:
        click.echo(json.dumps(plan.document, ensure_ascii=False, indent=2))
        return
    # What gRPC has to say of a connection is in the error, too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Only now: --help and --print-config need not wait for gRPC.
    from load.cli.running import Asked, execute

    ctx.exit(execute(plan, Asked(**given)))


def _plan(config: str | None, given: dict[str, Any]) -> Plan:
    """Return what is to be run; its flags are taken from those that are given.

    Raises:
        ConfigError: They say nothing that could be run.
    """
    flags = {field: given.pop(field) for field in Config.__struct_fields__}
    said = {field: value for field, value in flags.items() if value is not None}
    scenario, rows, warm_up = (given.pop(name) for name in ("scenario", "rows", "warm_up"))
    if scenario is None:
        if rows or warm_up is not None:
            raise ConfigError(f"{'rows' if rows else 'warm-up'}: goes with scenario")
        return plan_of(resolve(config or "", said))
    if config is not None:
        raise ConfigError("config: excludes scenario, which says all that such a file does")
    from load.scenarios.reading import read_scenario

    plan = plan_of_scenario(read_scenario(scenario, said, rows=dict(rows), warm_up=warm_up))
    _check_thresholds(plan.thresholds, scenario)
    return plan


def _check_thresholds(thresholds: Sequence[str], path: str) -> None:
    """Refuse thresholds of a scenario that are none, before anything is shown or run.

    Raises:
        ConfigError: There is one; the text names the file.
    """
    if not thresholds:
        return
    from load.gates.thresholds import parse_threshold

    try:
        for text in thresholds:
            parse_threshold(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


main.others = {"report": report}
