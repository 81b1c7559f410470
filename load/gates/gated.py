"""A run with its gates: from what was asked for to a report that says what became of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from load.gates import exits
from load.gates.calibration import calibrate
from load.jobs import Job
from load.report import wording
from load.report.model import GateResult, Report

if TYPE_CHECKING:
    # What they reckon with takes a second to import, which a run without them need not wait for.
    from load.gates.baseline import Baseline
    from load.gates.thresholds import Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What is asked of a run."""

    thresholds: "Sequence[Threshold]" = ()
    against: str = ""
    """Another server; empty: none."""
    runs: int | None = None
    """How many runs of each server are compared; None: as few as can be."""
    baseline: "Baseline | None" = None
    max_regression: float | None = None
    """None: what each of the comparisons allows by itself."""
    calibrate: bool = False
    """Whether this machine is measured before; with a baseline it always is."""

    def check(
        self,
        job: Job,
        *,
        machine: str,
        options: Mapping[str, Any],
        scenario: Mapping[str, Any] | None = None,
    ) -> None:
        """Check, before a run, that it can be judged.

        Args:
            job: What will be run.
            machine: The id of this machine.
            options: Those that the report will have.
            scenario: What the report will say of it; None: it is none.

        Raises:
            ConfigError: A threshold names a call that the job doesn't have.
            ReportError: The baseline is of something else.
        """
        calls = [call.method.full_name for call in job.calls]
        for threshold in self.thresholds:
            threshold.check(calls)
        if self.baseline:
            self.baseline.check(machine=machine, options=options, scenario=scenario, calls=calls)


def run_gated(
    job: Job, gates: Gates, run: Callable[[Job], Report], *, say: Callable[[str], None]
) -> Report:
    """Return the report of a run, with the outcome of every gate in it.

    With another server, it is the last report of those of the one that is judged. The exit code is
    that of `exits.exit_code` for the gates in the report.

    Args:
        job: What is run.
        gates: What is asked of it; `check` has let them pass.
        run: Does a job.
        say: Is told what is going on, and then of each gate, in a line.

    Raises:
        LoadError: There is nothing to judge: a server can't be reached, or stopped answering.
        KeyboardInterrupt: It was interrupted before there was a report.
    """
    calibration = calibrate() if gates.calibrate or gates.baseline else None
    if calibration:
        say(f"calibration: {wording.number(round(calibration.rate))} calls/s of a bare echo")
    results: list[GateResult] = []
    if gates.against:
        from load.gates import against  # noqa: PLC0415 - see above.

        allowed = gates.max_regression or against.MAX_REGRESSION
        comparison = against.compare(
            job,
            gates.against,
            run,
            max_regression=allowed,
            runs=gates.runs or against.LEAST_RUNS,
            say=say,
        )
        report = comparison.report
        results += comparison.results
    else:
        report = run(job)
    if calibration:
        report = exits.keep(
            report, calibration=calibration.rate, warnings=[*filter(None, [calibration.warning])]
        )
    if gates.baseline:
        from load.gates import baseline  # noqa: PLC0415 - see above.

        allowed = gates.max_regression or baseline.MAX_REGRESSION
        results += gates.baseline.judge(report, allowed)
    judged = [threshold.judge(report) for threshold in gates.thresholds]
    if report.end_reason == exits.CUT_SHORT:
        judged = [exits.cut_short(each) for each in judged]
    results = [*judged, *results]
    warnings = [threshold.warning(report) for threshold in gates.thresholds]
    report = exits.keep(report, results=results, warnings=[*filter(None, warnings)])
    for line in exits.lines(results):
        say(line)
    return report
