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

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from load.errors import TargetError
from load.gates.comparing import (
    ERROR_RATE,
    LEAST_ERRORS,
    MEASURES,
    Measure,
    Measured,
    difference,
    measured,
    result,
    verdict_of_chance,
)
from load.gates.figures import of_report
from load.gates.significance import Runs, chance, detectable, holm, noise
from load.jobs import Job
from load.report import wording
from load.report.model import GateResult, Report

LEAST_RUNS: Final = 5
"""Of each: fewer are never in an order that is rare enough, five figures being looked at."""
MAX_REGRESSION: Final = 0.05
_LEVEL: Final = 0.05
_GONE: Final = ("Unavailable", "DeadlineExceeded")
"""What calls end with when nobody answers."""
_TOLD: Final = ("p95", "rps", "error_rate")
_CUT_SHORT: Final = "cancel"


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
    pairs = [_Pair(measure, judged, other, max_regression) for measure in MEASURES]
    p_values = holm([pair.p_value() for pair in pairs])
    return [
        result(
            pair.measure,
            name,
            "fail" if pair.is_over and p_value <= _LEVEL else "pass",
            pair.figure(),
            pair.gap(p_value),
        )
        for pair, p_value in zip(pairs, p_values, strict=True)
    ]


class _Pair:
    """A figure of all runs of both servers."""

    def __init__(
        self,
        measure: Measure,
        judged: Sequence[Measured],
        other: Sequence[Measured],
        max_regression: float,
    ) -> None:
        self.measure = measure
        self._judged: Runs = np.array([run[measure.name] for run in judged])
        self._other: Runs = np.array([run[measure.name] for run in other])
        self._medians = float(np.median(self._judged)), float(np.median(self._other))
        self._allowed = LEAST_ERRORS if measure is ERROR_RATE else max_regression
        self._worsening = (
            self._medians[0] - self._medians[1]
            if measure is ERROR_RATE
            else measure.worsening(self._medians[0] / self._medians[1])
        )

    @property
    def is_over(self) -> bool:
        return self._worsening > self._allowed

    def p_value(self) -> float:
        judged, other = self._judged, self._other
        return float(chance(judged, other) if self.measure.more_is_worse else chance(other, judged))

    def figure(self) -> str:
        return "{}, there {}".format(*map(self.measure.say, self._medians))

    def gap(self, p_value: float) -> str:
        said = difference(self.measure, self._worsening, self._allowed)
        if self.is_over:
            said += verdict_of_chance(p_value, _LEVEL)
        if self.measure is ERROR_RATE:
            return said
        return f"{said}; {wording.number(100 * self._detectable())} % is found 4 times in 5"

    def _detectable(self) -> float:
        logarithm = detectable(
            noise(self._judged, self._other),
            len(self._judged),
            abs(math.log(self.measure.ratio(self._allowed))),
            _LEVEL / len(MEASURES),
        )
        sign = 1 if self.measure.more_is_worse else -1
        return self.measure.worsening(math.exp(sign * logarithm))


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
    if report.end_reason == _CUT_SHORT:
        side.last = side.last or report
        return None
    side.last = report
    statuses = report.status_code_distribution
    figures = measured(of_report(report))
    if figures is None or sum(statuses.get(status, 0) for status in _GONE) > report.count / 2:
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
    done = f"{len(judged.runs)} runs, there {len(other.runs)}"
    gap = f"ended before {runs} of each"
    return [result(measure, other.host, "inconclusive", done, gap) for measure in MEASURES]
