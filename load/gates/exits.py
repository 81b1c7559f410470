"""How gates end a run: its exit code, its lines, and what its report keeps of them."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from load.report.model import GateResult, Report

THRESHOLD_FAILED: Final = 99
REGRESSION: Final = 98
CUT_SHORT: Final = "cancel"
"""Why a run ended that somebody has interrupted, in its report."""


def exit_code(results: Sequence[GateResult]) -> int:
    """Return 99 if a threshold was not kept, else 98 if something got worse, else 0.

    What is inconclusive has failed: nothing was shown.
    """
    failed = [result for result in results if result.outcome != "pass"]
    if any(not result.regression for result in failed):
        return THRESHOLD_FAILED
    return REGRESSION if failed else 0


def lines(results: Sequence[GateResult]) -> Iterator[str]:
    """Yield a line for each gate: its outcome, what was measured, and how far that is from it."""
    for result in results:
        yield f"{result.outcome:<12} {result.gate}: {result.figure}; {result.gap}"


def cut_short(result: GateResult) -> GateResult:
    """Return what a gate found of a run that somebody ended early: what failed, or nothing."""
    if result.outcome != "pass":
        return result
    gap = f"{result.gap}, but the run was ended early"
    return msgspec.structs.replace(result, outcome="inconclusive", gap=gap)


def keep(
    report: Report,
    *,
    results: Sequence[GateResult] = (),
    warnings: Sequence[str] = (),
    calibration: float | None = None,
) -> Report:
    """Return the report with what the gates found, their warnings and the calibration.

    Raises:
        ValueError: ghz wrote the report: it has no place for them.
    """
    if report.patron is None:
        raise ValueError(report.patron)
    extra = msgspec.structs.replace(
        report.patron,
        gates=(*report.patron.gates, *results),
        warnings=(*report.patron.warnings, *warnings),
        calibration=report.patron.calibration if calibration is None else calibration,
    )
    return msgspec.structs.replace(report, patron=extra)
