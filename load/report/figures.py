"""What several formats tell of a report, worked out once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from load.report.model import GateResult, Report
from load.report.wording import number

_HIDDEN: Final = "(not shown)"


class Outcome(Enum):
    """What the gates of a run say together."""

    PASS = "pass"  # noqa: S105 - no password.
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """None failed, but some could not be judged: that counts as failed."""
    NONE = "no gates"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a run, and why, in a sentence."""

    outcome: Outcome
    sentence: str


@dataclass(frozen=True, slots=True)
class Times:
    """What one clock says about calls, in nanoseconds."""

    clock: str
    """service or response."""
    percentiles: Mapping[str, int]
    """By name, such as p99.9, rising."""
    fastest: int
    average: int
    slowest: int


def gates_of(report: Report) -> Sequence[GateResult]:
    """Return what the gates of a run found, in the order in which they were asked for."""
    return report.patron.gates if report.patron else ()


def verdict_of(report: Report) -> Verdict:
    """Return what the gates of a run say together."""
    gates = gates_of(report)
    failed = [gate for gate in gates if gate.outcome == "fail"]
    unknown = [gate for gate in gates if gate.outcome not in ("pass", "fail")]
    if failed:
        others = f", and {number(len(unknown))} could not be judged" if unknown else ""
        return Verdict(Outcome.FAIL, f"{_of(failed, gates)} failed{others}.")
    if unknown:
        sentence = f"{_of(unknown, gates)} could not be judged, which counts as failed."
        return Verdict(Outcome.INCONCLUSIVE, sentence)
    if gates:
        return Verdict(Outcome.PASS, f"{_of(gates, gates)} passed.")
    return Verdict(Outcome.NONE, "Nothing was asked of this run.")


def _of(some: Sequence[GateResult], gates: Sequence[GateResult]) -> str:
    if len(gates) == 1:
        return "The gate"
    if len(some) == len(gates):
        return f"All {number(len(gates))} gates"
    return f"{number(len(some))} of {number(len(gates))} gates"


def finding(gate: GateResult) -> str:
    """Return what a gate found: the figure and the gap."""
    return ", ".join(text for text in (gate.figure, gate.gap) if text)


def failed_calls(report: Report) -> int:
    """Return how many calls did not end with OK."""
    statuses = report.status_code_distribution
    if statuses:
        return report.count - statuses.get("OK", 0)
    return sum(report.error_distribution.values())


def times_of(report: Report) -> Sequence[Times]:
    """Return what the clocks say: service, and where calls were meant to begin at a time, response.

    Without a call that percentiles are of, those of ghz are none, and the other figures 0.
    """
    extra = report.patron
    if extra is None:
        percentiles = {
            f"p{item.percentage:g}": item.latency
            for item in report.latency_distribution or ()
            if item.percentage
        }
        return [Times("service", percentiles, report.fastest, report.average, report.slowest)]
    clocks = {"service": extra.service}
    if extra.scheduled:
        clocks["response"] = extra.response
    return [
        Times(name, clock.percentiles, clock.fastest, clock.average, clock.slowest)
        for name, clock in clocks.items()
    ]


def methods_of(report: Report) -> Sequence[str]:
    """Return the full names of the methods that were called."""
    if report.patron and report.patron.calls:
        return [call.call for call in report.patron.calls]
    call = report.options.get("call")
    return [str(call)] if call else []


def shown_options(report: Report) -> Mapping[str, Any]:
    """Return the options of a run, without the values of metadata: they may be secrets."""
    return without_metadata(report.options)


def without_metadata(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by their keys, without the values of metadata: they may be secrets."""
    return {key: _without_values(key, value) for key, value in options.items()}


def _without_values(key: str, value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold.
    if not key.endswith("metadata") or not value:
        return value
    return dict.fromkeys(value, _HIDDEN) if isinstance(value, Mapping) else _HIDDEN
