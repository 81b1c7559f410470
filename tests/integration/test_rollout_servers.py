"""What evidence is worth when servers were not scraped, on a Prometheus with a made past."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import pytest

from flags.rollout.evidence import EvidenceMissing, Span
from flags.rollout.prometheus import PrometheusEvidence
from tests.support.prometheus import needs_prometheus, prometheus
from tests.support.rollout_ports import FLAG, PLAN

pytestmark = needs_prometheus

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
BEGIN: Final = (time.time() - 60 * DAY) // DAY * DAY
"""When the past begins, in seconds since the epoch."""
UP: Final = 'max_over_time(up{job="patron"}[120s])'
MINUTES: Final = 600
"""How long each scenario lasts; in the hours after it there is nothing."""

Ups = Mapping[str, Sequence[tuple[int, int, int]]]
"""Of each server: from which minute, until which, whether it was reached."""

SCENARIOS: Final[Mapping[str, Ups]] = {
    "whole": {"a:1": [(0, 600, 1)], "b:1": [(0, 600, 1)]},
    "dies": {"a:1": [(0, 600, 1)], "b:1": [(0, 590, 1), (590, 600, 0)]},
    "all die": {"a:1": [(0, 480, 1), (480, 600, 0)], "b:1": [(0, 480, 1), (480, 600, 0)]},
    "all gone": {"a:1": [(0, 480, 1)]},
    "restarts": {"a:1": [(0, 600, 1)], "b:1": [(0, 599, 1), (599, 600, 0)]},
    "comes back": {"a:1": [(0, 600, 1)], "b:1": [(0, 120, 1), (120, 240, 0), (240, 600, 1)]},
    "is replaced": {
        "a:1": [(0, 600, 1)],
        "b:1": [(0, 120, 1), (120, 140, 0)],
        "c:1": [(300, 600, 1)],
    },
    "Prometheus was away": {"a:1": [(0, 300, 1), (400, 600, 1)]},
}


def span_of(scenario: str) -> Span:
    """Return when a scenario happened."""
    since = BEGIN + list(SCENARIOS).index(scenario) * DAY
    return Span(since, since + (MINUTES - 1) * 60)


def scrapes() -> Iterator[str]:
    """Yield what was scraped of the scenarios."""
    yield "# TYPE up gauge"
    for scenario, servers in SCENARIOS.items():
        begin = span_of(scenario).since
        for server, stretches in servers.items():
            for since, until, up in stretches:
                for minute in range(since, until):
                    yield f'up{{job="patron",instance="{server}"}} {up} {begin + minute * 60}'


NOW: Final = BEGIN + 59 * DAY
"""When it is asked which kinds of errors are known."""
KINDS: Final[Sequence[tuple[str, str, float]]] = (
    ("OldError", "treatment", 35),
    ("CommonError", "treatment", 25),
    ("ControlError", "control", 10),
    ("FeatureError", "treatment", 3),
    ("other", "control", 4),
    ("other", "treatment", 4),
)
"""A kind, the arm that met it, and how many days ago."""


def errors() -> Iterator[str]:
    """Yield what was scraped of these kinds, with a server that is there in the end."""
    hours = range(-40 * 24, 1)
    for name, of, reached in (
        ("unexpected_errors", "counter", 5),
        ("unexpected_error_merchants", "gauge", 3),
    ):
        yield f"# TYPE patron_{name} {of}"
        suffix = "_total" if of == "counter" else ""
        for kind, arm, days in KINDS:
            labels = f'job="patron",kind="{kind}",feature="{FLAG}",arm="{arm}"'
            for hour in hours:
                # Nothing is shown of a kind before it happens, but of the last one.
                if hour >= -days * 24 or kind == "other":
                    value = reached if hour > -days * 24 else 0
                    at = NOW + hour * HOUR
                    yield f"patron_{name}{suffix}{{{labels}}} {value} {at}"


@pytest.fixture(scope="module")
def evidence() -> Iterator[PrometheusEvidence]:
    """What Prometheus has of this past."""
    lines: Iterable[str] = (*scrapes(), f'up{{job="patron",instance="a:1"}} 1 {NOW}', *errors())
    past = "\n".join([*lines, "# EOF\n"])
    with prometheus({}, past=past) as running:
        yield PrometheusEvidence(PLAN, running.url)


@pytest.mark.parametrize(
    "scenario, gaps",
    [
        ("whole", ()),
        ("dies", ("does not reach b:1",)),
        ("restarts", ()),
        ("comes back", ("In 8",)),
        ("is replaced", ()),
        ("Prometheus was away", ("In 8",)),
    ],
)
async def test_what_was_not_scraped_is_a_gap(
    evidence: PrometheusEvidence, scenario: str, gaps: tuple[str, ...]
) -> None:
    """A server that is not reached is, and a tenth of the phase; one that was replaced is none."""
    found, readings = await evidence.gather(span_of(scenario), None)
    assert len(found.gaps) == len(gaps)
    assert all(words in gap for words, gap in zip(gaps, found.gaps, strict=True))
    assert readings[-2].query == UP
    assert "a:1: 1" in readings[-2].answer
    await evidence.require_servers(span_of(scenario).until)


async def test_a_gap_loses_its_weight(evidence: PrometheusEvidence) -> None:
    """When it is less than a tenth of the phase by then, what was counted shows enough."""
    whole = span_of("comes back")
    found, _ = await evidence.gather(Span(whole.since + 230 * 60, whole.until), None)
    assert found.gaps == ()


@pytest.mark.parametrize(
    "scenario, words",
    [
        ("all die", "reaches none of the servers: a:1, b:1"),
        ("all gone", f"knows of no server: {UP} is empty"),
    ],
)
async def test_where_nobody_is_scraped_nothing_is_known(
    evidence: PrometheusEvidence, scenario: str, words: str
) -> None:
    """No evidence, no breaker, no start: though much was counted before."""
    span = span_of(scenario)
    for ask in (
        evidence.gather(span, None),
        evidence.require_servers(span.until),
        evidence.known_kinds(span.until, accepted_since=None),
    ):
        with pytest.raises(EvidenceMissing, match="Prometheus") as raised:
            await ask
        assert words in str(raised.value)
        assert [reading.query for reading in raised.value.readings] == [UP]


@pytest.mark.parametrize(
    "accepted_since, kinds",
    [
        (None, {"ControlError"}),
        (0.0, {"ControlError", "CommonError", "FeatureError"}),
        (NOW - 5 * DAY, {"ControlError", "FeatureError"}),
    ],
    ids=["rolled back", "never guarded", "completed"],
)
async def test_which_kinds_of_errors_are_known(
    evidence: PrometheusEvidence, accepted_since: float | None, kinds: set[str]
) -> None:
    """The control's, of 30 days, and what was accepted of the feature; never those without name."""
    assert await evidence.known_kinds(NOW, accepted_since=accepted_since) == kinds
