"""A run with its gates: in which order, what its report keeps, and its exit code."""

from pathlib import Path

import msgspec
import pytest

from load.errors import ConfigError, ReportError
from load.gates import exits, gated
from load.gates.baseline import read_baseline
from load.gates.calibration import Calibration
from load.gates.gated import Gates, run_gated
from load.gates.thresholds import parse_threshold
from load.jobs import Job
from load.report.model import GateResult, Report
from tests.support.load_jobs import one_call
from tests.support.load_reports import MS, Made, report_of


def _result(outcome: str, *, regression: bool = False) -> GateResult:
    return GateResult(
        gate="p95<2s", outcome=outcome, figure="2.31 s", gap="310 ms over", regression=regression
    )


@pytest.mark.parametrize(
    "results, code",
    [
        ([], 0),
        ([_result("pass"), _result("pass", regression=True)], 0),
        ([_result("fail")], 99),
        ([_result("inconclusive")], 99),
        ([_result("fail", regression=True)], 98),
        ([_result("pass"), _result("inconclusive", regression=True)], 98),
        ([_result("fail", regression=True), _result("fail")], 99),
    ],
)
def test_exit_code_tells_what_failed(results: list[GateResult], code: int) -> None:
    """A threshold that isn't kept wins over a regression; what is inconclusive has failed."""
    assert exits.exit_code(results) == code


def test_lines_tell_figure_and_gap() -> None:
    """A gate is a line: what became of it, what was measured, how far it is from that."""
    assert list(exits.lines([_result("fail")])) == ["fail         p95<2s: 2.31 s; 310 ms over"]


def _report(milliseconds: int = 10, wait: int = 0) -> Report:
    made = [Made(0.05, milliseconds * MS, (milliseconds + wait) * MS) for _ in range(200)]
    return report_of(made, seconds=1, warnings=["the generator was busy"])


def test_report_has_the_gates_and_what_the_second_clock_says(tmp_path: Path) -> None:
    """All outcomes are in the report that is handed back, and told in lines."""
    slow = _report(20)
    said: list[str] = []

    def run(job: Job) -> Report:
        return slow if job.target.host == "127.0.0.1:2" else _report(10)

    report = run_gated(
        one_call("127.0.0.1:2"),
        Gates(
            thresholds=[parse_threshold("p95<19ms"), parse_threshold("p99<2s")],
            against="127.0.0.1:1",
            max_regression=0.1,
        ),
        run,
        say=said.append,
    )
    assert report.patron
    gates = report.patron.gates
    assert [(gate.gate.partition(" ")[0], gate.outcome) for gate in gates] == [
        ("p95<19ms", "fail"),
        ("p99<2s", "pass"),
        ("p50", "fail"),
        ("p95", "fail"),
        ("p99", "fail"),
        ("rps", "pass"),
        ("error_rate", "pass"),
    ]
    assert said[-len(gates) :] == list(exits.lines(gates))
    assert exits.exit_code(gates) == exits.THRESHOLD_FAILED


def test_warning_of_the_second_clock_is_kept() -> None:
    """It is added to those that the report has."""
    report = run_gated(
        one_call("127.0.0.1:2"),
        Gates(thresholds=[parse_threshold("p95<2s")]),
        lambda _: _report(10, wait=3000),
        say=lambda _: None,
    )
    assert report.patron
    first, second = report.patron.warnings
    assert first == "the generator was busy"
    assert second.startswith("p95<2s holds for service time alone")
    assert exits.exit_code(report.patron.gates) == 0


def test_run_with_a_baseline_is_calibrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is measured before the run, and the report keeps it to be a baseline itself."""
    order: list[str] = []

    def calibrate() -> Calibration:
        order.append("calibration")
        return Calibration([3900, 2600, 4000] if len(order) > 1 else [3900, 4000])

    def run(job: Job) -> Report:
        order.append("run")
        return _report(10)

    monkeypatch.setattr(gated, "calibrate", calibrate)
    job = one_call("127.0.0.1:2")
    stored = tmp_path / "base.json"
    first = run_gated(job, Gates(calibrate=True), run, say=lambda _: None)
    stored.write_bytes(msgspec.json.encode(first))

    second = run_gated(job, Gates(baseline=read_baseline(stored)), run, say=lambda _: None)
    assert order == ["calibration", "run"] * 2
    assert second.patron
    assert second.patron.calibration == 4000
    assert {gate.outcome for gate in second.patron.gates} == {"pass"}
    assert first.patron
    assert len(first.patron.warnings) == 1
    assert "from 2,600 to 4,000 calls/s" in second.patron.warnings[1]


def test_gates_that_cannot_be_judged_are_refused_before_the_run(tmp_path: Path) -> None:
    """A threshold of a call that isn't made, and a baseline of another machine."""
    job = one_call("127.0.0.1:2")
    gates = Gates(thresholds=[parse_threshold("CreateOrder:p95<1s")])
    with pytest.raises(ConfigError, match=r"there are: shop\.v1\.Orders\.GetOrder"):
        gates.check(job, machine="5f3a91", options={})
    stored = tmp_path / "base.json"
    stored.write_bytes(msgspec.json.encode(exits.keep(_report(), calibration=4000)))
    with pytest.raises(ReportError, match="another machine"):
        Gates(baseline=read_baseline(stored)).check(job, machine="other", options={})


def test_report_by_ghz_keeps_no_gates() -> None:
    """It has no place for them."""
    with pytest.raises(ValueError, match="None"):
        exits.keep(msgspec.structs.replace(_report(), patron=None))


def test_a_run_that_was_interrupted_shows_nothing_that_it_has_not_missed() -> None:
    """What it kept is inconclusive, for it might not have kept it; what it did not has failed."""
    early = msgspec.structs.replace(_report(10), end_reason="cancel")
    gates = Gates(thresholds=[parse_threshold("p95<2s"), parse_threshold("p95<1ms")])

    report = run_gated(one_call("127.0.0.1:1"), gates, lambda _job: early, say=lambda _line: None)

    assert report.patron is not None
    kept, missed = report.patron.gates
    assert (kept.outcome, missed.outcome) == ("inconclusive", "fail")
    assert kept.gap.endswith("but the run was ended early")
