"""`make bench`: measures how fast Patron is, and prints it beside what is to be reached."""

import subprocess
import sys
import time
import traceback
from datetime import UTC, datetime

import click

from tests.load.bench import machine
from tests.load.bench.lab import FULL, QUICK, Lab, open_lab
from tests.load.bench.page import write_page
from tests.load.bench.places import BASELINE, report_path
from tests.load.bench.registry import SCENARIOS, Scenario
from tests.load.bench.report import Report
from tests.load.bench.table import comparison, table
from tests.load.world.errors import NotMeasured
from tests.load.world.places import REPOSITORY

_NOT_MEASURED = 1


@click.command()
@click.option(
    "--only",
    "names",
    multiple=True,
    type=click.Choice([scenario.name for scenario in SCENARIOS]),
    help="Measure this scenario and keep the other figures; may be repeated.",
)
@click.option("--resume", is_flag=True, help="Measure what an interrupted run left out.")
@click.option("--quick", is_flag=True, help="See in a few minutes that all works; not for figures.")
@click.option("--table", "only_print", is_flag=True, help="Print the figures of the last run.")
@click.option(
    "--keep", is_flag=True, help="Make the last run the baseline, and the one in the docs."
)
def main(
    *, names: tuple[str, ...], resume: bool, quick: bool, only_print: bool, keep: bool
) -> None:
    """Measure how fast Patron is.

    Figures are written to build/bench.json as soon as they are measured, and printed in the end
    beside their targets and the baseline, tests/load/baseline.json. The whole takes up to 25
    minutes and needs the machine for itself.
    """
    path = report_path(quick=quick)
    report = Report.read(path)
    if keep:
        if quick or not report.meta:
            raise click.UsageError("Only the figures of a full run can be kept, once there are.")
        report.write_baseline(BASELINE)
        write_page(report)
        return
    if only_print:
        click.echo(table(report))
        return
    wanted = [scenario for scenario in SCENARIOS if not names or scenario.name in names]
    if resume:
        wanted = [scenario for scenario in wanted if scenario.name not in report.samples]
    elif not names:
        path.unlink(missing_ok=True)
        report = Report.read(path)
    well = _measure(wanted, report, quick=quick)
    click.echo(comparison(report, Report.read(BASELINE)))
    if not well:
        sys.exit(_NOT_MEASURED)


def _measure(wanted: list[Scenario], report: Report, *, quick: bool) -> bool:
    """Measure the scenarios one after the other; return whether all could be."""
    machine.allow_many_files()
    well = True
    try:
        with open_lab(QUICK if quick else FULL) as lab:
            for scenario in wanted:
                well &= _measure_one(lab, scenario, report, quick=quick)
    except NotMeasured as error:
        raise click.ClickException(str(error)) from error
    return well


def _measure_one(lab: Lab, scenario: Scenario, report: Report, *, quick: bool) -> bool:
    click.echo(f"{scenario.name}: {scenario.what}", err=True)
    begun = time.monotonic()
    try:
        outcome = scenario.measure(lab)
    except NotMeasured as error:
        click.echo(f"  not measured: {error}", err=True)
        return False
    except Exception:  # noqa: BLE001 - whatever one scenario dies of, the others are measured.
        click.echo(f"  not measured:\n{traceback.format_exc()}", err=True)
        return False
    circumstances = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": _commit(),
        "rounds": lab.effort.rounds,
        **machine.describe(),
    }
    report.add(scenario.name, outcome, circumstances)
    report.write(report_path(quick=quick))
    for key, value in outcome.figures.items():
        click.echo(f"  {key}: {'–' if value is None else f'{value:.4g}'}", err=True)
    click.echo(f"  {time.monotonic() - begun:.0f} s", err=True)
    return True


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )
    return described.stdout.strip()


if __name__ == "__main__":
    main(prog_name="make bench")
