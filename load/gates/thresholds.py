"""What a run must keep: `p95<2s`, `error_rate<0.1%`, `GetSummary:response.p99.9<=50ms`."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Final

from load.config.durations import parse_duration
from load.errors import ConfigError
from load.gates.figures import Figures, Latencies, of_call, of_report, which_call
from load.report import wording
from load.report.model import GateResult, Report

_SHAPE: Final = re.compile(
    r"(?:(?P<call>[^:<>=]+?)\s*:\s*)?(?P<clock>response\.)?(?P<figure>[a-z_]+|p[\d.]+)"
    r"\s*(?P<comparison><=|>=|<|>)\s*(?P<limit>[^<>=]+)"
)
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
_COMPARISONS: Final[Mapping[str, Callable[[Fraction, Fraction], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CHANCE: Final = 0.05
_RULE: Final = 3
"""The limit on the mean of a Poisson count of 0 at that chance: -ln(0.05), rounded up."""


class _Unit(Enum):
    DURATION = "a duration, such as 500ms, 2s or 1m30s"
    SHARE = "a share, such as 0.1% or 0.001"
    NUMBER = "a number, such as 500"


@dataclass(frozen=True, slots=True)
class _Figure:
    """How a figure is limited, and how it is read; None: it cannot be told."""

    unit: _Unit
    read: Callable[[Figures], float | Fraction | None]
    read_response: Callable[[Figures], float | None] = lambda _: None
    """From when the calls were meant to begin; latencies have that."""


def _latency(read: Callable[[Latencies], int | None]) -> _Figure:
    return _Figure(
        _Unit.DURATION,
        lambda figures: read(figures.service),
        lambda figures: read(figures.response) if figures.response else None,
    )


_FIGURES: Final[Mapping[str, _Figure]] = {
    "average": _latency(lambda latencies: latencies.average),
    "fastest": _latency(lambda latencies: latencies.fastest),
    "slowest": _latency(lambda latencies: latencies.slowest),
    "error_rate": _Figure(_Unit.SHARE, lambda figures: figures.error_rate),
    "errors": _Figure(_Unit.NUMBER, lambda figures: figures.errors),
    "rps": _Figure(_Unit.NUMBER, lambda figures: figures.rps),
    "count": _Figure(_Unit.NUMBER, lambda figures: figures.count),
    "dropped": _Figure(_Unit.NUMBER, lambda figures: figures.dropped),
    "late": _Figure(_Unit.NUMBER, lambda figures: figures.late),
}
_OF_THE_RUN: Final = ("dropped", "late")
_LISTED: Final = f"a percentile such as p95 or p99.9, {', '.join(_FIGURES)}"
_WHOLE: Final = 100
"""Per cent."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit that a figure of a report must keep.

    A plain latency is service time, which is what ghz reports, so that a limit means the same with
    either tool. Where calls were scheduled, and the limit would not hold from when they were meant
    to begin, `warning` says so; `response.p95<2s` is how to ask for that.
    """

    text: str
    call: str
    """One of the calls, as it was named; empty: all together."""
    response: bool
    """Whether the latency is that from when the call was meant to begin."""
    figure: str
    comparison: str
    limit: Fraction
    """Nanoseconds, a part of one, or a number."""

    def check(self, calls: Sequence[str]) -> None:
        """Check, before a run, that it has the call.

        Args:
            calls: The full names of all calls of the run.

        Raises:
            ConfigError: It hasn't; the text lists them.
        """
        if self.call:
            try:
                which_call(self.call, calls)
            except ConfigError as error:
                raise ConfigError(f"threshold {self.text!r}: {error}") from error

    def judge(self, report: Report) -> GateResult:
        """Return whether the limit was kept.

        Without calls nothing is: the outcome is inconclusive. It is that too for an error rate that
        is to be under a limit, as long as fewer than 3 / limit calls were made and it isn't over it
        already by more than chance: if not one of n calls failed, the rate may still be 3 / n, with
        a confidence of 95 %. Source: Hanley and Lippman-Hand, "If nothing goes wrong, is everything
        all right?", JAMA 249 (1983), the rule of three.

        Failed calls are those that were not OK. Calls in flight that the run itself cut off when
        its time was over are Unavailable in reports, as in ghz's, but not counted here: else a run
        of a given duration could hardly keep an error rate.

        Raises:
            ConfigError: The report has no such call.
        """
        figures = self._figures(report)
        if not figures.count:
            return self._result("inconclusive", "no calls", "nothing was measured")
        value = self._value(figures, response=self.response)
        if value is None:
            return self._result("inconclusive", "unknown", self._why_unknown(report, figures))
        outcome = "pass" if self._holds(value) else "fail"
        gap = self._gap(value)
        if self.figure == "error_rate" and self.comparison in ("<", "<="):
            needed = -(-_RULE // self.limit)
            if figures.completed < needed and not self._surely_over(figures):
                outcome = "inconclusive"
                gap = f"it takes {needed:,} calls to prove it"
        return self._result(outcome, self._said(value, figures), gap)

    def warning(self, report: Report) -> str:
        """Return what the second clock says against a limit that was kept; empty: nothing."""
        if self.response or not report.patron or not report.patron.scheduled:
            return ""
        if _figure(self.figure).unit is not _Unit.DURATION:
            return ""
        figures = self._figures(report)
        service = self._value(figures, response=False)
        response = self._value(figures, response=True)
        if service is None or response is None:
            return ""
        if not self._holds(service) or self._holds(response):
            return ""
        return (
            f"{self.text} holds for service time alone: from when the calls were meant to begin, "
            f"{self.figure} is {wording.duration(float(response))}, {self._gap(response)}; "
            f"response.{self.figure} is a threshold on that"
        )

    def _figures(self, report: Report) -> Figures:
        return of_call(report, self.call) if self.call else of_report(report)

    def _value(self, figures: Figures, *, response: bool) -> Fraction | None:
        figure = _figure(self.figure)
        value = (figure.read_response if response else figure.read)(figures)
        return None if value is None else Fraction(value)

    def _why_unknown(self, report: Report, figures: Figures) -> str:
        if figures.errors + figures.cut_off == figures.count:
            return "no call ended as OK"
        return "ghz's reports do not tell" if report.patron is None else "the report does not tell"

    def _holds(self, value: Fraction) -> bool:
        return _COMPARISONS[self.comparison](value, self.limit)

    def _surely_over(self, figures: Figures) -> bool:
        # Only now: see `load.gates.significance`.
        from scipy.special import bdtrc  # noqa: PLC0415

        # The chance of so many failures, or more, if the share were just the limit.
        chance = bdtrc(figures.errors - 1, figures.completed, float(self.limit))
        return figures.errors > 0 and bool(chance <= _CHANCE)

    def _said(self, value: Fraction, figures: Figures) -> str:
        match _figure(self.figure).unit:
            case _Unit.DURATION:
                return wording.duration(float(value))
            case _Unit.SHARE:
                counts = f"{figures.errors:,} of {figures.completed:,}"
                if figures.cut_off:
                    counts += f", and {figures.cut_off:,} cut off at the end"
                return f"{wording.percent(float(value))} ({counts})"
            case _Unit.NUMBER:
                return wording.number(float(value))

    def _gap(self, value: Fraction) -> str:
        if value == self.limit:
            return "just at the limit"
        side = "over" if value > self.limit else "under"
        return f"{self._apart(float(abs(value - self.limit)))} {side}"

    def _apart(self, distance: float) -> str:
        match _figure(self.figure).unit:
            case _Unit.DURATION:
                return wording.duration(distance)
            case _Unit.SHARE:
                return f"{wording.number(100 * distance)} percentage points"
            case _Unit.NUMBER:
                return wording.number(distance)

    def _result(self, outcome: str, figure: str, gap: str) -> GateResult:
        return GateResult(gate=self.text, outcome=outcome, figure=figure, gap=gap)


def parse_threshold(text: str) -> Threshold:
    """Return a threshold.

    Args:
        text: `[CALL:][response.]FIGURE COMPARISON LIMIT`. The figure is a percentile (`p95`,
            `p99.9`), `average`, `fastest` or `slowest`, with a duration of Go as limit;
            `error_rate`, with a percentage or a part of one; or `errors`, `rps`, `count`, `dropped`
            or `late`, with a number. The comparison is one of `<`, `<=`, `>` and `>=`. The call is
            named in full or by its method.

    Raises:
        ConfigError: It is none, or one that every run keeps, or none does.
    """
    try:
        return _parsed(text.strip())
    except ConfigError as error:
        raise ConfigError(f"threshold {text!r}: {error}") from error


def _parsed(text: str) -> Threshold:
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise ConfigError(
            "write it as FIGURE<LIMIT, such as p95<2s, with <, <=, > or >=; "
            f"the figure is {_LISTED}; with CALL: before it, that of one call"
        )
    call, figure, comparison = shape["call"] or "", shape["figure"], shape["comparison"]
    unit = _figure(figure).unit
    if shape["clock"] and unit is not _Unit.DURATION:
        raise ConfigError(f"response. goes with latencies, and {figure} is none")
    if call and figure in _OF_THE_RUN:
        raise ConfigError(f"{figure} is counted for all calls together")
    limit = _limit(shape["limit"].strip(), unit, figure)
    if limit == 0 and comparison in ("<", ">="):
        everyone = "no run keeps it" if comparison == "<" else "every run keeps it"
        raise ConfigError(f"{figure} is never under 0, so {everyone}")
    if unit is _Unit.SHARE:
        if limit == 0 and comparison == "<=":
            raise ConfigError(
                "no number of calls proves it; errors<1 says that none of those made has failed"
            )
        if limit >= 1:
            raise ConfigError("the limit must be under 100 %")
    return Threshold(text, call, bool(shape["clock"]), figure, comparison, limit)


def _figure(name: str) -> _Figure:
    if name in _FIGURES:
        return _FIGURES[name]
    if not (name.startswith("p") and _NUMBER.fullmatch(name[1:])):
        raise ConfigError(f"there is no figure {name!r}; there is {_LISTED}")
    percentage = Fraction(name[1:])
    if not 0 < percentage < _WHOLE:
        raise ConfigError("a percentile is over 0 and under 100; of all calls: fastest, slowest")
    return _latency(lambda latencies: latencies.percentile(percentage))


def _limit(text: str, unit: _Unit, figure: str) -> Fraction:
    try:
        if unit is _Unit.DURATION:
            limit = Fraction(parse_duration(text))
            if limit >= 0:
                return limit
        else:
            bare = text.removesuffix("%").rstrip() if unit is _Unit.SHARE else text
            if _NUMBER.fullmatch(bare):
                return Fraction(bare) / (1 if bare == text else 100)
    except ConfigError:
        pass
    raise ConfigError(f"the limit of {figure} is {unit.value}, and not {text!r}")
