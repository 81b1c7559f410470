"""A run beside a stored report of the same machine: one against one, for where only one server is.

The machine may be shared, and faster on one day than on another. So figures are taken relative to
what a bare echo reached just before each of the runs: calls per second for one call of the echo,
latencies in calls of the echo. Where calls are begun by a schedule, their number per second is the
schedule's, on every day, and is compared as it is.

The time that a call waits, for a timer or a disk, is the same on a fast day. On a day that is
faster than that of the baseline such a call looks worse relative to the echo, and is not: a figure
that is worse only relatively is inconclusive, for either may be true.

What is compared is one run with one run, whose noise nobody knows: no test can tell it from a
regression, so the default of what is allowed has to. On a machine of two cores that did nothing
else, rates varied by 3 % from run to run, p95 by 1 %, p99 by 4 % and the echo by 6 %; two runs then
differ by about 10 % relative to the echo, and by MAX_REGRESSION hardly once in a hundred times. On
one that did other things meanwhile everything varied by 20 to 50 %: there a calibration warns, and
two live servers side by side are what tells.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from load.config.durations import format_duration
from load.errors import ReportError
from load.gates.comparing import (
    ERROR_RATE,
    MEASURES,
    RATIOS,
    Measure,
    Measured,
    difference,
    measured,
    result,
    verdict_of_chance,
)
from load.gates.exits import CUT_SHORT
from load.gates.figures import Figures, of_report
from load.report import wording
from load.report.model import GateResult, Report
from load.report.reading import read_report

MAX_REGRESSION: Final = 0.25
_LEVEL: Final = 0.01
_UNIMPORTANT: Final = frozenset(
    {
        "host",
        "authority",
        "proto",
        "protoset",
        "stubs",
        "import-paths",
        "cacert",
        "cert",
        "key",
        "cname",
        "skipTLS",
        "metadata",
        "timeout",
        "dial-timeout",
        "keepalive",
        "name",
    }
)
"""Options that say where the server is and who calls it, and not what it has to do."""

_NO_WORK: Final = _UNIMPORTANT | {"connect-timeout", "cpus", "tags", "thresholds", "trailers"}
"""Keys of scenarios that do not say what the server has to do; options tell of the cores."""

_MAKE_ONE: Final = "--calibrate -O json -o FILE"
_HOW: Final = f"{_MAKE_ONE} makes one that serves"
_LENGTH: Final = 60


@dataclass(frozen=True, slots=True)
class Baseline:
    """A stored report that runs are compared with."""

    name: str
    machine: str
    """The id of the machine it is from."""
    calibration: float
    options: Mapping[str, Any]
    scenario: Mapping[str, Any] | None
    calls: Sequence[str]
    """The full names of its calls."""
    figures: Figures
    measured: Measured

    def check(
        self,
        *,
        machine: str,
        options: Mapping[str, Any],
        calls: Sequence[str],
        scenario: Mapping[str, Any] | None = None,
    ) -> None:
        """Check that a run can be compared, which is known before it.

        Args:
            machine: The id of this machine.
            options: Those that the report of the run will have.
            calls: The full names of its calls.
            scenario: What the report of the run will say of it; None: it is none.

        Raises:
            ReportError: It is from another machine, or of a run that had something else to do.
        """
        if machine != self.machine:
            raise ReportError(
                f"baseline {self.name}: it is from another machine, with which figures of this one "
                f"cannot be compared; {_MAKE_ONE} makes one here"
            )
        unlike = [
            *_unlike(self.options, options),
            *_unlike_scenarios(self.scenario, scenario, but=self.options.keys() | options.keys()),
        ]
        if sorted(self.calls) != sorted(calls):
            unlike.insert(0, _unlike_text("calls", ", ".join(self.calls), ", ".join(calls)))
        if unlike:
            raise ReportError(
                f"baseline {self.name}: that run had something else to do: {'; '.join(unlike)}"
            )

    def judge(self, report: Report, max_regression: float = MAX_REGRESSION) -> Sequence[GateResult]:
        """Return, for each figure, whether a run is worse than the baseline.

        Args:
            report: That of a run which `check` let pass, with its calibration.
            max_regression: By which part of the baseline's a figure may be worse.

        Raises:
            ReportError: The report has no calibration.
        """
        if report.patron is None or report.patron.calibration is None:
            raise ReportError("without a calibration, a run cannot be compared with a baseline")
        figures = of_report(report)
        now = measured(figures)
        if now is None or report.end_reason == CUT_SHORT:
            gap = "no call ended as OK" if now is None else "it was ended early"
            return [
                result(measure, self.name, "inconclusive", "nothing to compare", gap)
                for measure in MEASURES
            ]
        speed = report.patron.calibration / self.calibration
        is_set = report.patron.scheduled
        return [
            *(
                self._ratio(
                    measure, now, max_regression, 1 if is_set and measure.name == "rps" else speed
                )
                for measure in RATIOS
            ),
            self._errors(figures, now),
        ]

    def _ratio(
        self, measure: Measure, now: Measured, max_regression: float, speed: float
    ) -> GateResult:
        figure, reference = now[measure.name], self.measured[measure.name]
        relative = measure.worsening(figure * speed**measure.sign, reference)
        as_measured = measure.worsening(figure, reference)
        gap = difference(measure, relative, max_regression)
        if speed != 1:
            gap += (
                f", relative to an echo {wording.number(speed)} times as fast as then; "
                f"as measured, {difference(measure, as_measured)}"
            )
        outcome = "pass"
        if relative > max_regression:
            outcome = "fail" if as_measured > max_regression else "inconclusive"
        return self._result(measure, outcome, now, gap)

    def _errors(self, figures: Figures, now: Measured) -> GateResult:
        more = ERROR_RATE.worsening(now[ERROR_RATE.name], self.measured[ERROR_RATE.name])
        limit = ERROR_RATE.limit(0)
        gap = difference(ERROR_RATE, more, limit)
        outcome = "pass"
        if more > limit:
            # Only now: see `load.gates.significance`.
            from scipy.stats import fisher_exact  # noqa: PLC0415

            table = [[x.errors, x.completed - x.errors] for x in (figures, self.figures)]
            chance = float(fisher_exact(table, alternative="greater").pvalue)
            outcome = "fail" if chance <= _LEVEL else "pass"
            gap += verdict_of_chance(chance, _LEVEL)
        return self._result(ERROR_RATE, outcome, now, gap)

    def _result(self, measure: Measure, outcome: str, now: Measured, gap: str) -> GateResult:
        figure = (
            f"{measure.say(now[measure.name])}, then {measure.say(self.measured[measure.name])}"
        )
        return result(measure, self.name, outcome, figure, gap)


def read_baseline(path: Path) -> Baseline:
    """Return a stored report as a baseline.

    Raises:
        ReportError: It is no report, ghz's, without a calibration, or of a run that was cut short
            or in which no call was OK; the text tells how to make one.
    """
    report = read_report(path)
    extra = report.patron
    figures = of_report(report)
    values = measured(figures)
    if extra is None:
        raise ReportError(f"baseline {path}: ghz wrote it, without a calibration; {_HOW}")
    if extra.calibration is None:
        raise ReportError(f"baseline {path}: it has no calibration; {_HOW}")
    if values is None:
        raise ReportError(f"baseline {path}: no call of it ended as OK; {_HOW}")
    if report.end_reason == CUT_SHORT:
        raise ReportError(f"baseline {path}: that run was ended early; {_HOW}")
    return Baseline(
        name=path.name,
        machine=extra.machine.id,
        calibration=extra.calibration,
        options=report.options,
        scenario=extra.scenario,
        calls=[call.call for call in extra.calls],
        figures=figures,
        measured=values,
    )


def _unlike(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    # What is in memory becomes what is in a file: tuples are lists there.
    here = msgspec.json.decode(msgspec.json.encode(here))
    for key in sorted((there.keys() | here.keys()) - _UNIMPORTANT):
        if there.get(key) != here.get(key):
            yield _unlike_text(key, *(_said(key, options.get(key)) for options in (there, here)))


def _unlike_scenarios(
    there: Mapping[str, Any] | None, here: Mapping[str, Any] | None, *, but: Container[str]
) -> Iterator[str]:
    """Yield what differs between two scenarios, without some keys of the scenario itself."""
    if there is None or here is None:
        if there is not here:
            yield _unlike_text("scenario", *("none" if x is None else "one" for x in (there, here)))
        return
    parts = []
    for scenario in (there, here):
        shared = {
            key: value
            for key, value in scenario.items()
            if key not in but and key not in _NO_WORK and key != "calls"
        }
        parts.append(dict(_leaves({**shared, "calls": _by_name(scenario["calls"])}, ())))
    yield from _unlike(*parts)


def _by_name(calls: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Return calls by what they call: in which order they are does not matter."""
    named: dict[str, Mapping[str, Any]] = {}
    for call in calls:
        name = call["call"].replace("/", ".")
        # One that is there several times has a number from the second on.
        same = sum(each["call"].replace("/", ".") == name for each in named.values())
        named[f"{name} ({same + 1})" if same else name] = call
    return {
        name: {key: value for key, value in call.items() if key not in _UNIMPORTANT | {"call"}}
        for name, call in named.items()
    }


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    """Yield what is in tables, and tables in them, by the path of its key."""
    if isinstance(value, Mapping) and (value or not path):
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    else:
        yield ".".join(path), value


def _said(key: str, value: object) -> str:
    if value is None:
        return "none"
    if key.endswith("duration") and isinstance(value, int):
        return format_duration(value)
    return wording.shortened(str(value), _LENGTH)


def _unlike_text(key: str, there: str, here: str) -> str:
    return f"{key} {there} there, {here} here"
