"""A run beside a stored report: what is compared, and which reports are refused."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from load.errors import ReportError
from load.gates.baseline import Baseline, read_baseline
from load.report.model import GateResult, Report
from tests.support.load_reports import MS, Made, report_of

OPTIONS: Mapping[str, Any] = {
    "insecure": True,
    "concurrency": 50,
    "total": 1000,
    "data": [{"name": "Ada"}],
    "metadata": {"authorization": "secret"},
}
CALL = "shop.v1.Orders.GetOrder"


def _run(
    *,
    milliseconds: int = 100,
    rps: float = 1000,
    calibration: float | None = 4000,
    failed: int = 0,
    scheduled: bool = False,
    options: Mapping[str, Any] = OPTIONS,
) -> Report:
    made = [
        Made(0.05, milliseconds * MS, milliseconds * MS)
        if index >= failed
        else Made(0.05, MS, MS, error="rpc error: code = Internal desc = no", status="Internal")
        for index in range(200)
    ]
    report = report_of(made, seconds=200 / rps, scheduled=scheduled, options=options)
    return _with(report, calibration=calibration)


def _with(report: Report, **extra: Any) -> Report:
    assert report.patron
    return msgspec.structs.replace(report, patron=msgspec.structs.replace(report.patron, **extra))


def _stored(folder: Path, report: Report) -> Path:
    path = folder / "base.json"
    path.write_bytes(msgspec.json.encode(report))
    return path


def _judged(
    folder: Path, then: Report, now: Report, max_regression: float = 0.25
) -> Mapping[str, GateResult]:
    baseline = read_baseline(_stored(folder, then))
    results = baseline.judge(now, max_regression)
    assert all(result.regression for result in results)
    assert all(result.gate.endswith(" against base.json") for result in results)
    return {result.gate.partition(" ")[0]: result for result in results}


def _outcomes(results: Mapping[str, GateResult]) -> Sequence[str]:
    assert list(results) == ["p50", "p95", "p99", "rps", "error_rate"]
    return [results[name].outcome for name in ("p95", "rps", "error_rate")]


@pytest.mark.parametrize(
    "now, outcomes",
    [
        (_run(), ["pass", "pass", "pass"]),
        (_run(milliseconds=120, rps=830), ["pass", "pass", "pass"]),
        (_run(milliseconds=130), ["fail", "pass", "pass"]),
        (_run(rps=740), ["pass", "fail", "pass"]),
        # Half as fast on a day on which everything is.
        (_run(milliseconds=200, rps=500, calibration=2000), ["pass", "pass", "pass"]),
        (_run(milliseconds=260, rps=370, calibration=2000), ["fail", "fail", "pass"]),
        # A fast day: slower than the machine would let it be, or one that waits.
        (_run(calibration=8000), ["inconclusive", "inconclusive", "pass"]),
        (_run(milliseconds=130, rps=700, calibration=8000), ["fail", "fail", "pass"]),
        # A schedule says how many there are.
        (_run(calibration=8000, scheduled=True), ["inconclusive", "pass", "pass"]),
        (_run(rps=700, calibration=2000, scheduled=True), ["pass", "fail", "pass"]),
        # Fails quickly, now and then.
        (_run(milliseconds=50, failed=10), ["pass", "pass", "fail"]),
        (_run(failed=1), ["pass", "pass", "pass"]),
    ],
)
def test_figures_are_compared_relative_to_what_the_machine_could_do(
    tmp_path: Path, now: Report, outcomes: Sequence[str]
) -> None:
    """A quarter worse in calls of the echo is a regression, if it is one by the clock too."""
    assert _outcomes(_judged(tmp_path, _run(), now)) == outcomes


def test_comparison_is_told_with_the_speed_of_the_day(tmp_path: Path) -> None:
    """Both figures, how much worse that is relative to the echo, and how much by the clock."""
    results = _judged(tmp_path, _run(), _run(milliseconds=120, calibration=6000), 0.05)
    assert results["p95"].figure == "120 ms, then 100 ms"
    assert results["p95"].gap == (
        "80 % worse, 5 % allowed, relative to an echo 1.50 times as fast as then; "
        "as measured, 20.0 % worse"
    )


def _cut_short(report: Report) -> Report:
    return msgspec.structs.replace(report, end_reason="cancel")


@pytest.mark.parametrize(
    "report, says",
    [
        (msgspec.structs.replace(_run(), patron=None), "ghz wrote it"),
        (_run(calibration=None), "it has no calibration; --calibrate -O json -o FILE makes one"),
        (_run(failed=200), "no call of it ended as OK"),
        (_cut_short(_run()), "ended early"),
    ],
)
def test_report_that_is_no_baseline_is_refused(tmp_path: Path, report: Report, says: str) -> None:
    """What has nothing to compare with is refused, with how to make what has."""
    with pytest.raises(ReportError) as refused:
        read_baseline(_stored(tmp_path, report))
    assert says in str(refused.value)
    assert "--calibrate -O json -o FILE" in str(refused.value)
    assert "base.json" in str(refused.value)


def test_missing_baseline_is_refused(tmp_path: Path) -> None:
    """A file that isn't there is named."""
    with pytest.raises(ReportError, match=r"base\.json"):
        read_baseline(tmp_path / "base.json")


def _changed(**changes: Any) -> Mapping[str, Any]:
    return {"call": CALL, "host": "127.0.0.1:50051", **OPTIONS, **changes}


@pytest.mark.parametrize(
    "options, says",
    [
        (_changed(concurrency=100), "concurrency 50 there, 100 here"),
        (_changed(rps=10), "rps none there, 10 here"),
        (_changed(data=[{"name": "Bob"}]), "data [{'name': 'Ada'}] there, [{'name': 'Bob'}] here"),
        (_changed(call="shop.v1.Orders.ListOrders"), f"call {CALL} there"),
        (_changed(total=5, insecure=False), "insecure True there, False here; total 1000 there"),
        # Of which kind the server is, and who calls it, is the same work.
        (_changed(host="127.0.0.1:7", metadata={"authorization": "other"}, timeout=5), ""),
    ],
)
def test_baseline_of_other_work_is_refused(
    tmp_path: Path, options: Mapping[str, Any], says: str
) -> None:
    """Before the run it is told which options differ, if any of those that matter does."""
    baseline = read_baseline(_stored(tmp_path, _run()))
    check: Callable[[], None] = lambda: baseline.check(  # noqa: E731 - tried twice
        machine="5f3a91", options=options, calls=[CALL]
    )
    if not says:
        check()
        return
    with pytest.raises(ReportError) as refused:
        check()
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)


def _checked(baseline: Baseline, machine: str, calls: Sequence[str]) -> str:
    with pytest.raises(ReportError) as refused:
        baseline.check(machine=machine, options=_changed(), calls=calls)
    return str(refused.value)


def test_baseline_of_another_machine_or_scenario_is_refused(tmp_path: Path) -> None:
    """The figures of another machine can't be compared, nor those of other calls."""
    baseline = read_baseline(_stored(tmp_path, _run()))
    assert "from another machine" in _checked(baseline, "77", [CALL])
    assert f"calls {CALL} there, {CALL}, b.C.D here" in _checked(
        baseline, "5f3a91", [CALL, "b.C.D"]
    )


def _scenario(**changes: Any) -> dict[str, Any]:
    calls = [
        {"call": "shop.v1.Orders/List", "weight": 3.0, "rows": "shops", "timeout": "1s"},
        {"call": CALL, "weight": 1.0},
    ]
    users = {"count": 3, "pause": ["100ms", "300ms"]}
    rows: dict[str, Any] = {"shops": {}}
    told = {"name": "a", "connections": 3, "warm-up": "1s", "users": users, "rows": rows}
    return {**told, "calls": calls, "thresholds": ["p95<1s"], **changes}


def _weights(*weights: float) -> Sequence[Any]:
    return [
        {**call, "weight": weight}
        for call, weight in zip(_scenario()["calls"], weights, strict=True)
    ]


@pytest.mark.parametrize(
    "scenario, says",
    [
        (None, "scenario one there, none here"),
        (_scenario(calls=_weights(1, 3)), f"calls.{CALL}.weight 1.0 there, 3 here"),
        (_scenario(users={"count": 3}), "users.pause ['100ms', '300ms'] there, none here"),
        (_scenario(users={"stages": [{"duration": "1s", "target": 3}]}), "users.stages none there"),
        (_scenario(**{"warm-up": "2s"}), "warm-up 1s there, 2s here"),
        (_scenario(rows={"shops": {"first": 2}}), "rows.shops.first none there, 2 here"),
        # Neither the order of calls, nor what is asked of the run, nor what options tell already.
        (_scenario(calls=[*reversed(_weights(3, 1))], thresholds=[], name="b"), ""),
        (_scenario(connections=4), ""),
    ],
)
def test_baseline_of_another_scenario_is_refused(
    tmp_path: Path, scenario: Mapping[str, Any] | None, says: str
) -> None:
    """What it asked of the server differs: that is told, by its key."""
    options = {**OPTIONS, "connections": 3}
    baseline = read_baseline(_stored(tmp_path, _with(_run(options=options), scenario=_scenario())))
    check = partial(baseline.check, machine="5f3a91", options=_changed(connections=3), calls=[CALL])
    check(scenario=_scenario())
    if not says:
        check(scenario=scenario)
        return
    with pytest.raises(ReportError) as refused:
        check(scenario=scenario)
    assert says in str(refused.value)


def test_run_that_shows_nothing_is_inconclusive(tmp_path: Path) -> None:
    """A run that was ended early, or without an answer, is no better and no worse."""
    for now in (_run(failed=200), _cut_short(_run())):
        assert set(_outcomes(_judged(tmp_path, _run(), now))) == {"inconclusive"}
