"""Whether a feature keeps its criteria."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.rollout.evidence import Calls, Evidence
from flags.rollout.verdict import Finding, Outcome, Reason, decide, judge
from tests.support.rollouts import PLAN, SLOW, TOO_SLOW, calls, evidence

NONE = Calls(0, 0, 0, {})


def failed(found: Evidence, known_kinds: tuple[str, ...] = ()) -> list[tuple[str, Reason]]:
    """Return what a feature fails by."""
    verdict = judge(PLAN, found, known_kinds)
    assert (verdict.outcome is Outcome.FAIL) == bool(verdict.failures)
    return [(finding.criterion, finding.reason) for finding in verdict.failures]


def finding(found: Evidence, criterion: str) -> Finding:
    """Return what is found out about one criterion."""
    return next(each for each in judge(PLAN, found, ()).findings if each.criterion == criterion)


def test_a_healthy_feature_passes() -> None:
    """Everything is kept, and each line says why."""
    verdict = judge(PLAN, evidence(), ())

    assert verdict.outcome is Outcome.PASS
    assert {each.outcome for each in verdict.findings} == {Outcome.PASS}
    assert [each.explanation for each in verdict.findings] == [
        "4 of 20,000 calls failed, 0.02 %: below 0.1 %, 95 % sure.",
        "20 of 20,000 calls took over 2 s, 0.1 %: below 5 %, 95 % sure.",
        "No unexpected error is of a kind that is new since it began.",
        "50 ratings, 4.60 on average: not below 3.5.",
        (
            "0.02 % of 20,000 calls failed with the feature, 0.02 % of 180,000 without: "
            "not proven to be over 1.25 times as much."
        ),
        (
            "p95 is about 0.194 s with the feature, 0.194 s without: "
            "not proven to be over 1.25 times as much."
        ),
    ]


def test_nothing_is_known_without_data() -> None:
    """A feature that nobody calls is held."""
    nothing = Evidence(NONE, NONE, NONE, {}, {})
    verdict = judge(PLAN, nothing, ())

    assert verdict.outcome is Outcome.HOLD
    assert [(each.criterion, each.outcome) for each in verdict.findings] == [
        ("error rate", Outcome.HOLD),
        ("p95", Outcome.HOLD),
        ("new kinds of errors", Outcome.PASS),
        ("ratings", Outcome.NOT_JUDGED),
        ("error rate, compared", Outcome.HOLD),
        ("p95, compared", Outcome.HOLD),
    ]


@pytest.mark.parametrize(
    "found", [evidence(gated=NONE), evidence(treatment=NONE), evidence(control=NONE)]
)
def test_what_is_missing_holds(found: Evidence) -> None:
    """Without the calls of one of the arms, or of the feature's methods, nothing passes."""
    assert judge(PLAN, found, ()).outcome is Outcome.HOLD


def test_too_few_calls_hold() -> None:
    """Until enough are counted, it says how many that takes."""
    few = evidence(gated=calls(2400))

    assert judge(PLAN, few, ()).outcome is Outcome.HOLD
    assert finding(few, "error rate").explanation == (
        "0 of 2,400 calls failed, 0 %: "
        "with so many, about 3,516 calls prove that it is below 0.1 %."
    )


def test_a_bad_sample_may_be_chance() -> None:
    """Three failures of 2,000 are too many to pass, and too few to fail."""
    bad = evidence(gated=calls(2000, 3))

    assert judge(PLAN, bad, ()).outcome is Outcome.HOLD
    assert "may be chance" in finding(bad, "error rate").explanation


@pytest.mark.parametrize(
    "found, criteria",
    [
        (evidence(gated=calls(2000, 12)), [("error rate", Reason.ABSOLUTE)]),
        (evidence(gated=calls(200, 0, TOO_SLOW)), [("p95", Reason.ABSOLUTE)]),
        (
            evidence(error_merchants={"KeyError": 3}),
            [("new kinds of errors", Reason.ABSOLUTE)],
        ),
        (evidence(ratings={1: 25, 4: 10}), [("ratings", Reason.ABSOLUTE)]),
        (evidence(treatment=calls(20_000, 40)), [("error rate, compared", Reason.RELATIVE)]),
        (
            evidence(gated=calls(20_000, 4, SLOW), treatment=calls(20_000, 4, SLOW)),
            [("p95, compared", Reason.RELATIVE)],
        ),
    ],
    ids=lambda value: value[0][0] if isinstance(value, list) else "",
)
def test_each_criterion_fails_by_itself(
    found: Evidence, criteria: list[tuple[str, Reason]]
) -> None:
    """What is proven to be broken fails the feature, whatever else is kept."""
    assert failed(found) == criteria


def test_slow_alike_is_no_difference() -> None:
    """With both arms slow alike, the limit is broken, and the comparison shows no difference."""
    slow = evidence(
        gated=calls(20_000, 4, TOO_SLOW),
        treatment=calls(20_000, 4, TOO_SLOW),
        control=calls(180_000, 36, TOO_SLOW),
    )

    assert failed(slow) == [("p95", Reason.ABSOLUTE)]
    compared = finding(slow, "p95, compared")
    assert (compared.outcome, compared.value) == (Outcome.PASS, 1.0)


def test_both_arms_failing_alike_is_no_difference() -> None:
    """The same for errors."""
    broken = evidence(
        gated=calls(20_000, 200), treatment=calls(20_000, 200), control=calls(180_000, 1800)
    )
    assert failed(broken) == [("error rate", Reason.ABSOLUTE)]
    assert finding(broken, "error rate, compared").value == pytest.approx(1.0)


def test_fail_beats_hold() -> None:
    """A broken criterion fails the feature, however little is known of the others."""
    assert failed(evidence(gated=NONE, error_merchants={"KeyError": 3})) == [
        ("new kinds of errors", Reason.ABSOLUTE)
    ]


def test_known_kinds_are_not_new() -> None:
    """A kind from before isn't the feature's, and a new one is critical from three merchants on."""
    found = evidence(error_merchants={"KeyError": 300, "ValueError": 2, "OSError": 0})

    assert failed(found, ("KeyError",)) == []
    assert "ValueError (merchants: 2)" in judge(PLAN, found, ("KeyError",)).findings[2].explanation


@pytest.mark.parametrize(
    "ratings, outcome",
    [
        ({1: 29}, Outcome.NOT_JUDGED),
        ({1: 30}, Outcome.FAIL),
        ({3: 16, 4: 14}, Outcome.HOLD),
        ({3: 15, 4: 15}, Outcome.PASS),
    ],
)
def test_ratings(ratings: Mapping[int, int], outcome: Outcome) -> None:
    """Few are not judged; a low mean holds, and fails once it is proven."""
    assert finding(evidence(ratings=ratings), "ratings").outcome is outcome


def test_few_ratings_hold_nothing_back() -> None:
    """Without ratings the feature passes."""
    assert judge(PLAN, evidence(ratings={1: 29}), ()).outcome is Outcome.PASS


def test_a_limit_between_two_buckets_is_claimed_for_the_safe_one() -> None:
    """Calls between the bounds beside the limit prove neither that it is kept nor that it isn't."""
    between = {1.0: 0.9, 2.5: 1.0}

    assert finding(evidence(gated=calls(20_000, 4, between)), "p95").outcome is Outcome.HOLD
    above = {1.0: 0.5, 2.5: 0.9, 5.0: 1.0}
    assert finding(evidence(gated=calls(20_000, 4, above)), "p95").outcome is Outcome.FAIL
    below = {1.0: 0.97, 2.5: 1.0}
    assert finding(evidence(gated=calls(20_000, 4, below)), "p95").outcome is Outcome.PASS


def test_a_control_beyond_all_buckets_is_no_measure() -> None:
    """Where no bound is high enough to prove anything, nothing passes."""
    beyond = {0.1: 0.0, 2.0: 0.5}
    found = evidence(control=calls(180_000, 36, beyond))

    compared = finding(found, "p95, compared")
    assert compared.outcome is Outcome.HOLD
    assert "too slow ones for the histogram" in compared.explanation


_CALLS = st.builds(
    lambda ended, failed, slow: Calls(
        ended,
        min(failed, ended),
        ended,
        {0.25: ended - min(2 * slow, ended), 2.0: ended - min(slow, ended), 5.0: ended},
    ),
    st.integers(0, 50_000),
    st.integers(0, 100),
    st.integers(0, 5000),
)
_EVIDENCE = st.builds(
    Evidence,
    gated=_CALLS,
    treatment=_CALLS,
    control=_CALLS,
    error_merchants=st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 5)),
    ratings=st.dictionaries(st.integers(1, 5), st.integers(0, 60)),
)


@given(_EVIDENCE)
def test_the_verdict_is_that_of_its_lines(found: Evidence) -> None:
    """Whatever was counted: one line fails all, one holds all, and the quick way says the same."""
    verdict = judge(PLAN, found, ("a",))
    outcomes = {each.outcome for each in verdict.findings}

    assert decide(PLAN, found, ("a",)) is verdict.outcome
    if Outcome.FAIL in outcomes:
        assert verdict.outcome is Outcome.FAIL
    elif Outcome.HOLD in outcomes:
        assert verdict.outcome is Outcome.HOLD
    else:
        assert verdict.outcome is Outcome.PASS


@given(_EVIDENCE)
def test_bounds_agree_with_the_outcome(found: Evidence) -> None:
    """A limit that is proven is never within the bounds that are shown."""
    for each in judge(PLAN, found, ("a",)).findings:
        assert each.explanation.endswith(".")
        if each.low is not None and each.outcome is Outcome.FAIL and each.criterion != "ratings":
            assert each.low >= each.limit * (1 - 1e-9)
        if each.high is not None and each.outcome is Outcome.FAIL:
            assert each.criterion != "ratings" or each.high <= each.limit
        if each.criterion in {"error rate", "p95"} and each.outcome is Outcome.PASS:
            assert each.high is not None
            assert each.high <= each.limit
