"""Thresholds: what is understood, what is refused, and which runs keep them."""

import math
import operator
from collections.abc import Callable
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.errors import ConfigError
from load.gates.thresholds import parse_threshold
from load.report.model import Report
from tests.support.load_reports import MS, Made, report_of

GET = "shop.v1.Orders.GetOrder"
LIST = "shop.v1.Orders.ListOrders"
_SIDES: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _run(count: int = 100, *, failed: int = 0, wait: int = 0, late: int = 0) -> Report:
    """Return a run of 10 s whose k-th call takes k ms, and begins `wait` ms after it was meant to.

    The first `failed` calls fail.
    """
    made = [
        Made(
            ended=0.05,
            service=milliseconds * MS,
            response=(milliseconds + wait) * MS,
            call=GET if milliseconds <= count / 2 else LIST,
            error="rpc error: code = Internal desc = no" if milliseconds <= failed else "",
            status="Internal" if milliseconds <= failed else "OK",
        )
        for milliseconds in range(1, count + 1)
    ]
    return report_of(made, seconds=10, late=late)


def _judged(threshold: str, report: Report) -> tuple[str, str, str]:
    found = parse_threshold(threshold).judge(report)
    assert found.gate == threshold.strip()
    assert not found.regression
    return found.outcome, found.figure, found.gap


@pytest.mark.parametrize(
    "threshold, outcome, figure, gap",
    [
        ("p95<2s", "pass", "95.0 ms", "1.90 s under"),
        ("p95<95ms", "fail", "95.0 ms", "just at the limit"),
        ("p95<=95ms", "pass", "95.0 ms", "just at the limit"),
        (" p95 < 60.5ms ", "fail", "95.0 ms", "34.5 ms over"),
        ("p99.9>0.09s", "pass", "100 ms", "10.0 ms over"),
        ("p0.5<2ms", "pass", "1.00 ms", "1.00 ms under"),
        ("average<=50500us", "pass", "50.5 ms", "just at the limit"),
        ("slowest<1m30s", "pass", "100 ms", "89.9 s under"),
        ("fastest>=2ms", "fail", "1.00 ms", "1.00 ms under"),
        ("rps>=500", "fail", "10", "490 under"),
        ("rps>9.5", "pass", "10", "0.500 over"),
        ("count>=100", "pass", "100", "just at the limit"),
        ("errors<1", "pass", "0", "1 under"),
        ("dropped<1", "pass", "0", "1 under"),
        ("late<7", "fail", "7", "just at the limit"),
        ("response.p95<100ms", "fail", "1.10 s", "995 ms over"),
        ("response.slowest<=1100ms", "pass", "1.10 s", "just at the limit"),
        ("GetOrder:p95<50ms", "pass", "48.0 ms", "2.00 ms under"),
        (f"{GET} : response.average<1s", "fail", "1.03 s", "25.5 ms over"),
        ("shop.v1.Orders/ListOrders:rps>=5", "pass", "5", "just at the limit"),
        ("ListOrders:error_rate<10%", "pass", "0 % (0 of 50)", "10 percentage points under"),
    ],
)
def test_threshold_judges_its_figure(threshold: str, outcome: str, figure: str, gap: str) -> None:
    """A threshold tells the figure, on which side of the limit it is, and how far from it."""
    assert _judged(threshold, _run(wait=1000, late=7)) == (outcome, figure, gap)


@pytest.mark.parametrize(
    "text, says",
    [
        ("p95", "write it as FIGURE<LIMIT"),
        ("p95=2s", "write it as FIGURE<LIMIT"),
        ("p95<1s<2s", "write it as FIGURE<LIMIT"),
        ("", "a percentile such as p95 or p99.9, average, fastest, slowest, error_rate, errors"),
        ("p95<2", "the limit of p95 is a duration, such as 500ms, 2s or 1m30s, and not '2'"),
        ("p95<-2s", "a duration"),
        ("p95<2%", "a duration"),
        ("p100<2s", "over 0 and under 100"),
        ("p0<2s", "over 0 and under 100"),
        ("p9.5.1<2s", "no figure 'p9.5.1'"),
        ("median<2s", "no figure 'median'; there is a percentile"),
        ("rps>=5s", "a number, such as 500, and not '5s'"),
        ("rps>=-5", "a number"),
        ("count>=5%", "a number"),
        ("error_rate<1ms", "a share, such as 0.1% or 0.001"),
        ("error_rate<100%", "under 100 %"),
        ("error_rate<=0%", "errors<1 says that none"),
        ("dropped<0", "no run keeps it"),
        ("count>=0", "every run keeps it"),
        ("response.rps>1", "response. goes with latencies"),
        ("GetOrder:late<1", "counted for all calls together"),
    ],
)
def test_threshold_that_says_nothing_is_refused(text: str, says: str) -> None:
    """What isn't understood, or kept by no run or all, is refused with what is possible."""
    with pytest.raises(ConfigError) as refused:
        parse_threshold(text)
    assert f"threshold {text!r}" in str(refused.value)
    assert says in str(refused.value)


@given(
    comparison=st.sampled_from(list(_SIDES)),
    limit=st.integers(min_value=1, max_value=200),
    percentage=st.sampled_from([10, 25, 50, 75, 90, 95, 99]),
)
def test_threshold_holds_iff_the_figure_is_on_its_side(
    comparison: str, limit: int, percentage: int
) -> None:
    """With calls of 1 to 100 ms, p95 is 95 ms: the outcome is that of the numbers."""
    found = parse_threshold(f"p{percentage}{comparison}{limit}ms").judge(_RUN)
    assert (found.outcome == "pass") == _SIDES[comparison](percentage, limit)


@pytest.mark.parametrize("percentage", [0.5, 3, 42, 66.6, 98.9, 99.9, 99.99])
def test_any_percentile_is_told_within_a_thousandth(percentage: float) -> None:
    """Those that the report doesn't show are from its HdrHistogram, of three digits."""
    rank = math.ceil(percentage)
    for limit, outcome in ((rank * 0.999, "fail"), (rank * 1.001, "pass")):
        found = parse_threshold(f"p{percentage}<={limit:f}ms").judge(_RUN)
        assert found.outcome == outcome


_RUN = _run()


@pytest.mark.parametrize(
    "count, failed, outcome, gap",
    [
        (2999, 0, "inconclusive", "it takes 3,000 calls to prove it"),
        (3000, 0, "pass", "0.100 percentage points under"),
        (3000, 2, "pass", "0.0333 percentage points under"),
        (3000, 3, "fail", "just at the limit"),
        # One of a hundred fails by chance once in ten times at that limit, two once in 200.
        (100, 1, "inconclusive", "it takes 3,000 calls to prove it"),
        (100, 2, "fail", "1.90 percentage points over"),
    ],
)
def test_error_rate_needs_enough_calls(count: int, failed: int, outcome: str, gap: str) -> None:
    """Too few calls prove no rate of errors, unless so many failed that it can't be chance."""
    report = msgspec.structs.replace(
        _RUN, count=count, status_code_distribution={"OK": count - failed, "Internal": failed}
    )
    assert _judged("error_rate<0.1%", report)[::2] == (outcome, gap)


def _cut_off(report: Report, *counts: int) -> Report:
    """Return a report of which so many of the failed calls of each kind were cut off."""
    extra = report.patron
    assert extra
    calls = [
        msgspec.structs.replace(call, cut_off=count)
        for call, count in zip(extra.calls, counts, strict=True)
    ]
    return msgspec.structs.replace(report, patron=msgspec.structs.replace(extra, calls=calls))


def test_calls_that_the_run_cut_off_have_not_failed() -> None:
    """Nobody knows how they would have ended: they are neither failed nor among those made."""
    report = _cut_off(_run(failed=10), 8, 0)
    told = "2.17 % (2 of 92, and 8 cut off at the end)"
    assert _judged("error_rate<10%", report)[:2] == ("pass", told)
    for threshold in ("errors<3", "GetOrder:errors<3", "count>=100"):
        assert _judged(threshold, report)[0] == "pass"
    assert _judged("error_rate<10%", _cut_off(_run(), 50, 50))[0] == "inconclusive"


def test_errors_may_be_asked_for() -> None:
    """That a server refuses calls is judged on any number of them."""
    assert _judged("error_rate>=3%", _run(failed=3)) == (
        "pass",
        "3.00 % (3 of 100)",
        "just at the limit",
    )


@given(limit=st.integers(min_value=1, max_value=999), count=st.integers(min_value=1))
def test_rule_of_three_is_exact(limit: int, count: int) -> None:
    """Without an error, a rate is proven from 3 / limit calls on, to the call."""
    report = msgspec.structs.replace(_RUN, count=count, status_code_distribution={"OK": count})
    outcome = parse_threshold(f"error_rate<={limit / 10:.1f}%").judge(report).outcome
    assert outcome == ("pass" if count * Fraction(limit, 1000) >= 3 else "inconclusive")


@pytest.mark.parametrize("threshold", ["p95<2s", "count<5", "error_rate<50%", "dropped<1"])
def test_nothing_is_shown_without_calls(threshold: str) -> None:
    """A report without calls keeps no threshold, and breaks none."""
    report = report_of([], seconds=1)
    assert _judged(threshold, report)[0] == "inconclusive"


def test_what_cannot_be_told_is_inconclusive() -> None:
    """Latencies when all calls failed, and what ghz's reports don't have, show nothing."""
    assert _judged("p95<2s", _run(failed=100)) == ("inconclusive", "unknown", "no call ended as OK")
    by_ghz = msgspec.structs.replace(_RUN, patron=None)
    assert _judged("p95<2s", by_ghz)[0] == "pass"
    for threshold in ("p99.9<2s", "response.p95<2s", "late<1"):
        assert _judged(threshold, by_ghz)[::2] == ("inconclusive", "ghz's reports do not tell")


def test_call_that_is_not_there_is_refused_with_those_that_are() -> None:
    """An unknown or ambiguous call of a threshold is refused before the run, with their names."""
    threshold = parse_threshold("GetOrder:p95<50ms")
    threshold.check([GET, LIST])
    parse_threshold("p95<50ms").check([])
    for calls in ([LIST], [GET, "shop.v2.Orders.GetOrder"]):
        with pytest.raises(ConfigError, match="GetOrder:p95") as refused:
            threshold.check(calls)
        assert all(call in str(refused.value) for call in calls)


def test_second_clock_warns_of_a_limit_that_holds_for_service_time_alone() -> None:
    """A latency that is over its limit from when the calls were meant to begin is warned of."""
    stalled = _run(wait=2000)
    warning = parse_threshold("p95<2s").warning(stalled)
    assert "p95 is 2.10 s, 95.0 ms over; response.p95" in warning.replace("2.09", "2.10")
    for silent in ("p95<50ms", "p95<1h", "response.p95<2s", "rps>1"):
        assert not parse_threshold(silent).warning(stalled)
    assert stalled.patron
    unscheduled = msgspec.structs.replace(stalled.patron, scheduled=False)
    assert not parse_threshold("p95<2s").warning(
        msgspec.structs.replace(stalled, patron=unscheduled)
    )
