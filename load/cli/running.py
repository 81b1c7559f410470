"""A run as the command line asks for it: its gates, its report, and its exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click

from load.cli.command import INTERRUPTED
from load.cli.debug_log import DebugLog, debug_log
from load.cli.interrupts import cancelling
from load.cli.plans import Plan
from load.cli.progress import progress_line
from load.cli.writing import check_output, write
from load.errors import ConfigError, LoadError
from load.gates.exits import exit_code
from load.gates.gated import Gates, run_gated
from load.jobs import Job
from load.recording.machine import this_machine
from load.report.figures import without_metadata
from load.report.formats import render
from load.report.model import Report
from load.runs import Telling, run

FAILED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the flags ask for beside ghz's options; None and empty: nothing."""

    processes: int | None
    thresholds: Sequence[str]
    against: str | None
    runs: int | None
    baseline: str | None
    max_regression: str | None
    calibrate: bool


def execute(plan: Plan, asked: Asked) -> int:
    """Run what was asked for, write its report, and return the exit code.

    Raises:
        LoadError: It could not be run.
        KeyboardInterrupt: It was ended at once.
    """
    config = plan.config
    gates = _gates(asked, plan.thresholds)
    check_output(config.output)
    with debug_log(config.debug) as log:
        try:
            return _execute(plan, asked, gates, log)
        except LoadError as error:
            log.write("The run failed", level="error", error=str(error))
            raise


def _execute(plan: Plan, asked: Asked, gates: Gates, log: DebugLog) -> int:
    config = plan.config
    log.write("Start run", config=_without_secrets(plan.document))
    for warning in plan.warnings:
        log.write(warning, level="warn")
    job, telling = plan.prepare(asked.processes or 0)
    gates.check(job, machine=this_machine().id, options=telling.options, scenario=telling.scenario)
    log.write(
        "Prepared", calls=[call.method.full_name for call in job.calls], processes=job.processes
    )
    report = _run(job, telling, gates)
    log.write(
        "Run finished",
        endReason=report.end_reason,
        count=report.count,
        statuses=report.status_code_distribution,
        errors=report.error_distribution,
    )
    _tell_warnings(report, told=plan.warnings, log=log)
    log.write("Writing the report", path=config.output or "stdout")
    write(render(report, config.format), config.output)
    return _exit_code(report)


def _exit_code(report: Report) -> int:
    if report.patron and report.patron.failure:
        return FAILED
    if failed := exit_code(report.patron.gates if report.patron else ()):
        return failed
    nothing = report.end_reason == "cancel" and not report.count
    return INTERRUPTED if nothing else 0


def _without_secrets(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a plan without the values of its metadata, and of that of its calls."""
    told = without_metadata(document)
    if "calls" in told:
        told["calls"] = [without_metadata(call) for call in told["calls"]]
    return told


def _gates(asked: Asked, own: Sequence[str]) -> Gates:
    """Return the gates; a file that they name is read.

    Raises:
        LoadError: They are not ones, or do not go together.
    """
    if asked.runs and not asked.against:
        raise ConfigError("runs: goes with against")
    if asked.max_regression and not (asked.against or asked.baseline):
        raise ConfigError("max-regression: goes with against or baseline")
    gates = Gates(against=asked.against or "", runs=asked.runs, calibrate=asked.calibrate)
    # Only where they are asked for: what they reckon with takes a second to import.
    if thresholds := [*own, *asked.thresholds]:
        from load.gates.thresholds import parse_threshold

        gates = replace(gates, thresholds=[parse_threshold(text) for text in thresholds])
    if asked.baseline:
        from load.gates.baseline import read_baseline

        gates = replace(gates, baseline=read_baseline(Path(asked.baseline)))
    if asked.max_regression:
        from load.gates.comparing import parse_max_regression

        gates = replace(gates, max_regression=parse_max_regression(asked.max_regression))
    return gates


def _run(job: Job, telling: Telling, gates: Gates) -> Report:
    with cancelling(_say) as cancel:

        def run_once(job: Job) -> Report:
            with progress_line() as on_progress:
                return run(job, telling, cancel=cancel, on_progress=on_progress)

        return run_gated(job, gates, run_once, say=_say)


def _tell_warnings(report: Report, *, told: Sequence[str], log: DebugLog) -> None:
    """Tell the warnings of a report that have not been told."""
    for warning in report.patron.warnings if report.patron else ():
        if warning not in told:
            _say(f"Warning: {warning}")
            log.write(warning, level="warn")


def _say(text: str) -> None:
    click.echo(text, err=True)
