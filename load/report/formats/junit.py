"""JUnit XML, which CI systems show: a test for each gate."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from load.report.figures import (
    failed_calls,
    finding,
    gates_of,
    methods_of,
    times_of,
    verdict_of,
)
from load.report.model import GateResult, Report
from load.report.wording import duration, number, percent, shortened, visible

_NS_PER_S: Final = 1_000_000_000
_MOST_ERRORS: Final = 20
_LONGEST_ERROR: Final = 1_000


def render(report: Report) -> Iterator[str]:
    """Yield a report as one suite of tests: its gates, or the run where there are none.

    A gate that could not be judged has failed too. A run without gates has passed, whatever its
    calls did: nothing was asked of it.
    """
    gates = gates_of(report)
    counts = {
        "tests": str(len(gates) or 1),
        "failures": str(sum(1 for gate in gates if gate.outcome != "pass")),
        "errors": "0",
        "time": _seconds(report),
    }
    suites = _element(None, "testsuites", {"name": "patron-load", **counts})
    suite = _element(suites, "testsuite", {"name": _name(report), **counts, "skipped": "0"})
    # Without a time zone, as some readers of the format demand.
    ended = datetime.fromisoformat(report.date).astimezone(UTC)
    suite.set("timestamp", ended.strftime("%Y-%m-%dT%H:%M:%S"))
    properties = _element(suite, "properties", {})
    for name, value in _facts(report).items():
        _element(properties, "property", {"name": name, "value": value})
    for gate in gates:
        _gate(suite, gate, _name(report))
    if not gates:
        case = {"classname": _name(report), "name": "run", "time": _seconds(report)}
        _element(suite, "testcase", case)
    _element(suite, "system-out", {}).text = visible(_told(report))
    if report.patron and report.patron.warnings:
        _element(suite, "system-err", {}).text = visible("\n".join(report.patron.warnings))
    ET.indent(suites)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield ET.tostring(suites, encoding="unicode")
    yield "\n"


def _element(parent: ET.Element | None, name: str, attributes: Mapping[str, str]) -> ET.Element:
    shown = {key: visible(value) for key, value in attributes.items()}
    return ET.Element(name, shown) if parent is None else ET.SubElement(parent, name, shown)


def _gate(suite: ET.Element, gate: GateResult, name: str) -> None:
    case = _element(suite, "testcase", {"classname": name, "name": gate.gate, "time": "0"})
    if gate.outcome == "pass":
        _element(case, "system-out", {}).text = visible(finding(gate))
        return
    kind = gate.outcome
    if gate.outcome == "fail":
        kind = "regression" if gate.regression else "threshold"
    failure = _element(case, "failure", {"message": finding(gate), "type": kind})
    failure.text = visible(f"{gate.gate}: {gate.outcome}\n{finding(gate)}")


def _name(report: Report) -> str:
    return report.name or ", ".join(methods_of(report)) or "run"


def _seconds(report: Report) -> str:
    return f"{report.total / _NS_PER_S:.3f}"


def _facts(report: Report) -> Mapping[str, str]:
    facts = {
        "call": ", ".join(methods_of(report)),
        "host": str(report.options.get("host", "")),
        "date": report.date,
        "end reason": report.end_reason,
        "calls": str(report.count),
        "failed calls": str(failed_calls(report)),
        "calls per second": f"{report.rps:.3f}",
    }
    for times in times_of(report):
        for name, value in times.percentiles.items():
            facts[f"{times.clock} time {name} in seconds"] = f"{value / _NS_PER_S:.6f}"
    if report.patron:
        facts["patron-load"] = report.patron.version
    return facts | {f"tag {key}": value for key, value in (report.tags or {}).items()}


def _told(report: Report) -> str:
    failed = failed_calls(report)
    lines = [
        verdict_of(report).sentence,
        f"{number(report.count)} calls in {duration(report.total)}",
        f"{number(report.rps)} calls per second",
        f"{number(failed)} failed"
        + (f" ({percent(failed / report.count)})" if report.count else ""),
    ]
    for times in times_of(report):
        told = [f"{name} {duration(value)}" for name, value in times.percentiles.items()]
        lines.append(f"{times.clock} time: " + (", ".join(told) or "of no call"))
    errors = sorted(report.error_distribution.items(), key=lambda item: -item[1])
    lines += [
        f"{number(count)} × {shortened(text, _LONGEST_ERROR)}"
        for text, count in errors[:_MOST_ERRORS]
    ]
    if len(errors) > _MOST_ERRORS:
        lines.append(f"and {number(len(errors) - _MOST_ERRORS)} other errors")
    return "\n".join(lines)
