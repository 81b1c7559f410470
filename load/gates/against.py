"""Two live servers side by side: is the one that is judged worse than the other?

A run takes as long as it takes on a machine of that minute. So runs of the two take turns, in the
order ABBA: whatever drifts, such as the speed of a shared machine, hits both alike. A figure is
called a regression if both hold:

- It is worse by more than chance: the one-sided test of Mann and Whitney, exact, over runs, at 5 %
  for all figures together, after Holm.
- Its median is worse by more than is allowed: what is proven may still be too little to matter.

So two equal servers are taken for unequal at most once in twenty comparisons, and far more rarely
by more than is allowed. What is not found is another matter: with 5 runs of each, not more than one
of the 25 pairs of runs may be the other way round. How large a regression is found 4 times in 5, as
much as these runs vary, is said with each figure.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from load.errors import TargetError
from load.gates.comparing import (
    MEASURES,
    RATIOS,
    Measured,
    difference,
    measured,
    result,
    verdict_of_chance,
)
from load.gates.exits import CUT_SHORT
from load.gates.figures import of_report
from load.gates.significance import Runs, chance, detectable, holm, noise
from load.jobs import Job
from load.report.model import GateResult, Report

LEAST_RUNS: Final = 5
"""Of each: fewer are never in an order that is rare enough, five figures being looked at."""
MAX_REGRESSION: Final = 0.05
_LEVEL: Final = 0.05
_GONE: Final = ("Unavailable", "DeadlineExceeded")
"""What calls end with when nobody answers."""
_TOLD: Final = ("p95", "rps", "error_rate")


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found, and the last report of the server that is judged."""

    report: Report
    results: Sequence[GateResult]


@dataclass(slots=True)
class _Side:
    """One of the servers."""

    job: Job
    runs: list[Measured] = field(default_factory=list)
    last: Report | None = None
    """That of the last of `runs`, else of one that was cut short."""

    @property
    def host(self) -> str:
        return self.job.target.host


def compare(
    job: Job,
    target: str,
    run: Callable[[Job], Report],
    *,
    max_regression: float = MAX_REGRESSION,
    runs: int = LEAST_RUNS,
    say: Callable[[str], None],
) -> Comparison:
    """Run a job on two servers in turns, and return whether its own is worse than the other.

    Each is run once before, which isn't counted. A run that is cancelled, or Ctrl-C, ends it: then
    everything is inconclusive.

    Args:
        job: What is run; its target is the server that is judged.
        target: The other server. All else of its job is the same.
        run: Does a job.
        max_regression: By which part of the other's median a figure may be worse.
        runs: How many of each are counted, at least 5.
        say: Is told of each run, in a line.

    Raises:
        TargetError: A server can't be reached, or stopped answering.
        KeyboardInterrupt: It was interrupted before the judged server was ever run.
    """
    if runs < LEAST_RUNS:
        raise ValueError(runs)
    judged = _Side(job)
    other = _Side(replace(job, target=replace(job.target, host=target)))
    try:
        complete = _run_all(judged, other, run, runs, say)
    except KeyboardInterrupt:
        complete = False
    if judged.last is None:
        raise KeyboardInterrupt
    if complete:
        results = decide(judged.runs, other.runs, target, max_regression)
    else:
        results = _undecided(judged, other, runs)
    return Comparison(judged.last, results)


def decide(
    judged: Sequence[Measured], other: Sequence[Measured], name: str, max_regression: float
) -> Sequence[GateResult]:
    """Return, for each figure, whether the runs of one server are worse than those of another.

    Args:
        judged: The runs of the one.
        other: Those of the other, as many.
        name: What the other is called.
        max_regression: By which part of the other's median a figure may be worse.
    """
    own, reference = _table(judged), _table(other)
    signs = np.array([[measure.sign] for measure in MEASURES])
    p_values = holm([float(p_value) for p_value in chance(signs * own, signs * reference)])
    found = _found(own, reference, max_regression)
    results = []
    for index, measure in enumerate(MEASURES):
        medians = float(np.median(own[index])), float(np.median(reference[index]))
        worsening, limit = measure.worsening(*medians), measure.limit(max_regression)
        gap = difference(measure, worsening, limit)
        if worsening > limit:
            gap += verdict_of_chance(p_values[index], _LEVEL)
        if measure.name in found:
            seen = measure.amount(found[measure.name])
            gap += f"; runs like these notice {seen} or more, 4 times in 5"
        fails = worsening > limit and p_values[index] <= _LEVEL
        figure = "{}, there {}".format(*map(measure.say, medians))
        results.append(result(measure, name, "fail" if fails else "pass", figure, gap))
    return results


def _table(runs: Sequence[Measured]) -> Runs:
    """Return the measures of runs: a row for each measure."""
    return np.array([[run[measure.name] for run in runs] for measure in MEASURES])


def _found(own: Runs, reference: Runs, max_regression: float) -> Mapping[str, float]:
    """Return, by measure, which worsening is found 4 times in 5, as much as these runs vary."""
    signs = np.array([measure.sign for measure in RATIOS])
    logarithms = detectable(
        noise(own[: len(RATIOS)], reference[: len(RATIOS)]),
        np.abs(np.log1p(signs * max_regression)),
        runs=own.shape[1],
        level=_LEVEL / len(MEASURES),
    )
    worsenings = signs * np.expm1(signs * logarithms)
    return {measure.name: float(x) for measure, x in zip(RATIOS, worsenings, strict=True)}


def _run_all(
    judged: _Side, other: _Side, run: Callable[[Job], Report], runs: int, say: Callable[[str], None]
) -> bool:
    """Run everything, and return whether nothing was cut short."""
    for side in (other, judged):
        figures = _run(side, run, "its warm-up")
        if figures is None:
            return False
        say(f"warm-up, {side.host}: {_summary(figures)}")
    for number, side in enumerate(_turns(other, judged, runs), 1):
        figures = _run(side, run, f"its run {len(side.runs) + 1} of {runs}")
        if figures is None:
            return False
        side.runs.append(figures)
        say(f"run {number} of {2 * runs}, {side.host}: {_summary(figures)}")
    return True


def _turns(other: _Side, judged: _Side, runs: int) -> Iterator[_Side]:
    for index in range(runs):
        yield from (other, judged) if index % 2 == 0 else (judged, other)


def _run(side: _Side, run: Callable[[Job], Report], which: str) -> Measured | None:
    """Return what a run measured; None: it was cut short.

    Raises:
        TargetError: The server can't be reached, or stopped answering.
    """
    try:
        report = run(side.job)
    except TargetError as error:
        raise TargetError(f"nothing to compare: {which} failed: {error}") from error
    if report.end_reason == CUT_SHORT:
        side.last = side.last or report
        return None
    side.last = report
    statuses, seen = report.status_code_distribution, of_report(report)
    gone = sum(statuses.get(status, 0) for status in _GONE) - seen.cut_off
    figures = measured(seen)
    if figures is None or gone > seen.completed / 2:
        ended = ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items()))
        errors = report.error_distribution
        most = f"; most often: {max(errors, key=errors.__getitem__)}" if errors else ""
        raise TargetError(
            f"nothing to compare: {side.host} does not answer; "
            f"{which} ended with {ended or 'no calls'}{most}"
        )
    return figures


def _summary(figures: Measured) -> str:
    return ", ".join(
        f"{measure.name} {measure.say(figures[measure.name])}"
        for measure in MEASURES
        if measure.name in _TOLD
    )


def _undecided(judged: _Side, other: _Side, runs: int) -> Sequence[GateResult]:
    done = f"runs: {len(judged.runs)}, there {len(other.runs)}"
    gap = f"ended before {runs} of each"
    return [result(measure, other.host, "inconclusive", done, gap) for measure in MEASURES]
