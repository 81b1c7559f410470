"""Two servers side by side: how often it errs, what it finds, and how it runs and ends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from load.errors import ConfigError, TargetError
from load.gates import against
from load.gates.comparing import MEASURES, parse_max_regression
from load.gates.significance import chance, detectable, holm
from load.jobs import Job
from load.report.model import GateResult, Report
from tests.support.load_jobs import one_call
from tests.support.load_reports import MS, Made, report_of

_NAMES = [measure.name for measure in MEASURES]

JOB = one_call("127.0.0.1:2")
OTHER = "127.0.0.1:1"


def _runs(
    random: np.random.Generator, *, times: float, noise: float, errors: float = 0
) -> Sequence[Mapping[str, float]]:
    """Return five runs, so many times as slow as others, whose figures vary so much."""
    return [
        {
            name: errors + 1e-4 * abs(random.standard_normal())
            if name == "error_rate"
            else (0.1 / times if name == "rps" else times)
            * 1e7
            * float(np.exp(noise * random.standard_normal()))
            for name in _NAMES
        }
        for _ in range(5)
    ]


def _failed(results: Sequence[GateResult]) -> Sequence[str]:
    assert all(result.regression for result in results)
    return [result.gate for result in results if result.outcome != "pass"]


def test_equal_servers_are_called_unequal_at_most_once_in_twenty() -> None:
    """Over 2,000 simulated comparisons of five figures, by the tests alone, whatever is allowed."""
    random = np.random.default_rng(5)
    judged, other = random.standard_normal((2, 2000, len(_NAMES), 5))
    alarms = [min(holm(list(row))) <= 0.05 for row in chance(judged, other)]
    assert np.mean(alarms) <= 0.05


def test_chance_is_that_of_mann_and_whitney() -> None:
    """Of 252 orders of 5 and 5 runs, one has all of the judged last, one all but a pair."""
    last = np.arange(5.0)
    assert chance(last + 5, last) == pytest.approx(1 / 252)
    assert chance(np.array([3.5, 5, 6, 7, 8]), last) == pytest.approx(2 / 252)
    # A normal approximation, which an exact one is near to with more runs.
    random = np.random.default_rng(1)
    judged, other = random.standard_normal((2, 30))
    near = mannwhitneyu(judged, other, alternative="greater", method="asymptotic").pvalue
    assert chance(judged, other) == pytest.approx(near, abs=0.005)


def test_holm_makes_p_values_larger_by_how_many_there_are() -> None:
    """The example that textbooks give: the smallest times 4, none smaller than one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(
    "times, noise, least, most",
    [
        (1.0, 0.02, 0, 0),
        (1.0, 0.2, 0, 1),
        # Clear, but too little to matter.
        (1.02, 0.0001, 0, 0),
        (1.2, 0.02, 8, 8),
        # A fifth slower, and runs that vary as much: it may be missed.
        (1.2, 0.2, 1, 7),
        (0.8, 0.02, 0, 0),
    ],
)
def test_a_regression_is_found_if_it_is_large_and_clear(
    times: float, noise: float, least: int, most: int
) -> None:
    """In 8 simulated comparisons: none where there is none, all where it is far over the noise."""
    found = 0
    for seed in range(8):
        random = np.random.default_rng(seed)
        judged = _runs(random, times=times, noise=noise)
        other = _runs(random, times=1, noise=noise)
        found += bool(_failed(against.decide(judged, other, OTHER, 0.05)))
    assert least <= found <= most


def test_a_server_that_fails_quickly_is_no_better() -> None:
    """More failed calls are a regression, however fast they are."""
    random = np.random.default_rng(1)
    judged = _runs(random, times=0.5, noise=0.02, errors=0.02)
    results = against.decide(judged, _runs(random, times=1, noise=0.02), OTHER, 0.05)
    assert _failed(results) == [f"error_rate against {OTHER}"]
    assert "points worse, 0.100 points allowed, not by chance" in results[-1].gap


def test_what_could_have_been_found_is_said() -> None:
    """The least regression that is found 4 times in 5 is found 4 times in 5."""
    random = np.random.default_rng(9)
    [difference] = detectable(np.array([0.05]), np.array([0.03]), runs=5, level=0.01)
    judged, other = 0.05 * random.standard_normal((2, 4000, 5))
    judged += difference
    apart = np.median(judged, axis=1) - np.median(other, axis=1)
    found = (chance(judged, other) <= 0.01) & (apart > 0.03)
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)

    runs = _runs(random, times=1, noise=0.05)
    results = against.decide(runs, runs, OTHER, 0.03)
    assert all("or more, 4 times in 5" in result.gap for result in results[:-1])


@dataclass
class _Servers:
    """Runs of two servers: the k-th run of each, from the warm-up on, as long as they go."""

    report: Callable[[str, int], Report]
    hosts: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def run(self, job: Job) -> Report:
        host = job.target.host
        assert job.calls is JOB.calls
        assert job.target.authority == "shop"
        self.hosts.append(host)
        return self.report(host, self.hosts.count(host))

    def compare(self) -> against.Comparison:
        return against.compare(JOB, OTHER, self.run, max_regression=0.05, say=self.said.append)


def _report(milliseconds: float, *, failed: int = 0, status: str = "Unavailable") -> Report:
    made = [
        Made(0.05, int(milliseconds * MS) + index, int(milliseconds * MS) + index)
        if index >= failed
        else Made(0.05, 1000, 1000, error=f"rpc error: code = {status} desc = gone", status=status)
        for index in range(100)
    ]
    return report_of(made, seconds=milliseconds)


def test_runs_take_turns_after_a_warm_up_of_each() -> None:
    """A slow warm-up isn't counted, a drift hits both alike, and the last report is handed back."""

    def report(host: str, number: int) -> Report:
        # Every run of either is slower than the one before it, by more than is allowed.
        return _report(500 if number == 1 else 1.1 ** len(servers.hosts))

    servers = _Servers(report)
    comparison = servers.compare()
    own = JOB.target.host
    assert servers.hosts[:2] == [OTHER, own]
    assert servers.hosts[2:] == [OTHER, own, own, OTHER, OTHER, own, own, OTHER, OTHER, own]
    assert comparison.report.fastest == int(1.1**12 * MS)
    assert not _failed(comparison.results)
    assert servers.said[0].startswith(f"warm-up, {OTHER}: p95 500 ms")
    assert servers.said[-1].startswith(f"run 10 of 10, {own}: p95 ")


def test_slower_server_is_told_with_both_figures() -> None:
    """Each figure is told with that of the other server, and by how much it is worse."""
    servers = _Servers(lambda host, number: _report((10 if host == OTHER else 12) + number / 100))
    results = servers.compare().results
    assert _failed(results) == [f"{name} against {OTHER}" for name in _NAMES[:-1]]
    assert results[1].figure == "12.0 ms, there 10.0 ms"
    assert results[1].gap.startswith("19.9 % worse, 5 % allowed, not by chance (p = 0.0198)")


@pytest.mark.parametrize("ended_by", ["interrupt", "cancel"])
@pytest.mark.parametrize("after", [0, 1, 6])
def test_a_comparison_that_is_ended_early_decides_nothing(ended_by: str, after: int) -> None:
    """Ctrl-C between or in runs leaves the last report, and every figure inconclusive."""

    def report(host: str, number: int) -> Report:
        if len(servers.hosts) <= after:
            return _report(10)
        if ended_by == "interrupt":
            raise KeyboardInterrupt
        return msgspec.structs.replace(_report(20), end_reason="cancel")

    servers = _Servers(report)
    if after == 0 or (after == 1 and ended_by == "interrupt"):
        with pytest.raises(KeyboardInterrupt):
            servers.compare()
        return
    comparison = servers.compare()
    assert comparison.report.fastest == (20 if after == 1 else 10) * MS
    assert [result.outcome for result in comparison.results] == ["inconclusive"] * len(_NAMES)
    done = "runs: 2, there 2" if after == 6 else "runs: 0, there 0"
    assert {result.figure for result in comparison.results} == {done}


@pytest.mark.parametrize(
    "report, says",
    [
        (_report(10, failed=100, status="Internal"), "100 Internal; most often: rpc error"),
        (_report(10, failed=51), "51 Unavailable"),
        (_report(10, failed=51, status="DeadlineExceeded"), "51 DeadlineExceeded"),
        (report_of([], seconds=1), "no calls"),
    ],
)
def test_a_server_that_stops_answering_ends_it(report: Report, says: str) -> None:
    """A run without an answer, or mostly without, is told with the server and the run."""
    servers = _Servers(lambda host, number: report if number == 4 else _report(10))
    with pytest.raises(TargetError) as ended:
        servers.compare()
    assert f"{OTHER} does not answer; its run 3 of 5 ended with" in str(ended.value)
    assert says in str(ended.value)


def test_a_server_that_cannot_be_reached_any_more_is_told_by_run() -> None:
    """What keeps a run from beginning is told with the number of the run."""

    def report(host: str, number: int) -> Report:
        if number == 2:
            raise TargetError(f"{host} refused the connection")
        return _report(10)

    with pytest.raises(TargetError, match=r"its run 1 of 5 failed: 127.0.0.1:1 refused"):
        _Servers(report).compare()


@pytest.mark.parametrize("text, share", [("5%", 0.05), ("0.05", 0.05), (" 12.5 % ", 0.125)])
def test_max_regression_is_a_share(text: str, share: float) -> None:
    """A percentage, or a part of one."""
    assert parse_max_regression(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "5", "0%", "100%", "-5%", "five", "5%%"])
def test_other_max_regressions_are_refused(text: str) -> None:
    """What would find everything, or nothing, or says nothing."""
    with pytest.raises(ConfigError, match="max-regression"):
        parse_max_regression(text)
