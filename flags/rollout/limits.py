"""The criteria with a fixed limit: errors, durations, new kinds of errors, ratings."""

from collections.abc import Mapping
from typing import Final

from flags.rollout import durations
from flags.rollout.finding import Case, Criterion, Finding, Outcome, Reason, as_percent
from flags.rollout.sequential import (
    high_share,
    low_share,
    mean_bounds,
    proves_above,
    proves_below,
    proves_mean_below,
    total_needed,
)

_WORST_RATING: Final = 1
_BEST_RATING: Final = 5


def _weigh_errors(case: Case) -> Outcome:
    calls, limit, confidence = (
        case.evidence.gated,
        case.plan.criteria.error_rate,
        case.plan.confidence,
    )
    if proves_above(calls.failed, calls.ended, limit, confidence):
        return Outcome.FAIL
    if proves_below(calls.failed, calls.ended, limit, confidence):
        return Outcome.PASS
    return Outcome.HOLD


def _explain_errors(case: Case, outcome: Outcome) -> Finding:
    calls, limit, confidence = (
        case.evidence.gated,
        case.plan.criteria.error_rate,
        case.plan.confidence,
    )
    value = low = high = None
    if calls.ended:
        value = calls.failed / calls.ended
        low = low_share(calls.failed, calls.ended, confidence)
        high = high_share(calls.failed, calls.ended, confidence)
    return Finding(
        criterion="error rate",
        outcome=outcome,
        reason=Reason.ABSOLUTE,
        value=value,
        low=low,
        high=high,
        limit=limit,
        sample=calls.ended,
        explanation=_explain_share(
            outcome, calls.failed, calls.ended, what="failed", limit=limit, confidence=confidence
        ),
    )


def _weigh_slow(case: Case) -> Outcome:
    calls, criteria, confidence = case.evidence.gated, case.plan.criteria, case.plan.confidence
    share = 1 - criteria.quantile
    # Where the limit is between two bounds, each claim is made for the bound that proves less.
    bound = durations.bound_from(calls, criteria.slow_seconds)
    if bound and proves_above(durations.over(calls, bound), calls.timed, share, confidence):
        return Outcome.FAIL
    bound = durations.bound_up_to(calls, criteria.slow_seconds)
    if bound and proves_below(durations.over(calls, bound), calls.timed, share, confidence):
        return Outcome.PASS
    return Outcome.HOLD


def _explain_slow(case: Case, outcome: Outcome) -> Finding:
    calls, criteria, confidence = case.evidence.gated, case.plan.criteria, case.plan.confidence
    find = durations.bound_from if outcome is Outcome.FAIL else durations.bound_up_to
    bound = find(calls, criteria.slow_seconds)
    return Finding(
        criterion=f"p{criteria.quantile * 100:g}",
        outcome=outcome,
        reason=Reason.ABSOLUTE,
        value=durations.estimate(calls, criteria.quantile),
        low=durations.at_least(calls, criteria.quantile, confidence),
        high=durations.at_most(calls, criteria.quantile, confidence),
        limit=criteria.slow_seconds,
        sample=calls.timed,
        explanation="No durations yet."
        if bound is None
        else _explain_share(
            outcome,
            durations.over(calls, bound),
            calls.timed,
            what=f"took over {bound:g} s",
            limit=1 - criteria.quantile,
            confidence=confidence,
        ),
    )


def _explain_share(
    outcome: Outcome, count: int, total: int, *, what: str, limit: float, confidence: float
) -> str:
    """Say how the share of the calls that did something stands to its limit."""
    if not total:
        return "No calls yet."
    share = f"{count:,} of {total:,} calls {what}, {as_percent(count / total)}"
    sure = f"{as_percent(confidence)} sure"
    if outcome is Outcome.PASS:
        return f"{share}: below {as_percent(limit)}, {sure}."
    if outcome is Outcome.FAIL:
        return f"{share}: above {as_percent(limit)}, {sure}."
    if count >= total * limit:
        return f"{share}: not below {as_percent(limit)}, but that may be chance."
    needed = total_needed(count, limit, confidence)
    return (
        f"{share}: with so many, about {needed:,} calls prove that it is below {as_percent(limit)}."
    )


def _new_kinds(case: Case) -> dict[str, int]:
    """Return how many merchants each new kind of error has reached."""
    return {
        kind: merchants
        for kind, merchants in case.evidence.error_merchants.items()
        if merchants and kind not in case.known_kinds
    }


def _weigh_kinds(case: Case) -> Outcome:
    critical = case.plan.criteria.new_error_merchants
    return (
        Outcome.FAIL
        if any(merchants >= critical for merchants in _new_kinds(case).values())
        else Outcome.PASS
    )


def _explain_kinds(case: Case, outcome: Outcome) -> Finding:
    kinds, critical = _new_kinds(case), case.plan.criteria.new_error_merchants
    worst_first = sorted(kinds.items(), key=lambda each: (-each[1], each[0]))
    names = ", ".join(f"{kind} (merchants: {merchants:,})" for kind, merchants in worst_first)
    return Finding(
        criterion="new kinds of errors",
        outcome=outcome,
        reason=Reason.ABSOLUTE,
        value=max(kinds.values(), default=0),
        low=None,
        high=None,
        limit=critical,
        sample=case.evidence.gated.ended + case.evidence.treatment.ended,
        explanation=f"New since it began: {names}; critical from {critical:,} merchants on."
        if kinds
        else "No unexpected error is of a kind that is new since it began.",
    )


def _weigh_ratings(case: Case) -> Outcome:
    criteria, ratings = case.plan.criteria, case.evidence.ratings
    if sum(ratings.values()) < criteria.rating_count:
        return Outcome.NOT_JUDGED
    if _mean(ratings) >= criteria.rating_mean:
        return Outcome.PASS
    if proves_mean_below(ratings, criteria.rating_mean, _BEST_RATING, case.plan.confidence):
        return Outcome.FAIL
    return Outcome.HOLD


def _mean(ratings: Mapping[int, int]) -> float:
    return sum(rating * count for rating, count in ratings.items()) / sum(ratings.values())


def _explain_ratings(case: Case, outcome: Outcome) -> Finding:
    criteria, ratings, confidence = case.plan.criteria, case.evidence.ratings, case.plan.confidence
    count = sum(ratings.values())
    value = low = high = None
    said = "No ratings yet"
    if count:
        value = _mean(ratings)
        low, high = mean_bounds(ratings, _WORST_RATING, _BEST_RATING, confidence)
        said = f"{count:,} ratings, {value:.2f} on average"
    meaning = {
        Outcome.PASS: f"not below {criteria.rating_mean:g}",
        Outcome.FAIL: f"below {criteria.rating_mean:g}, {as_percent(confidence)} sure",
        Outcome.HOLD: f"below {criteria.rating_mean:g}, but that may be chance",
        Outcome.NOT_JUDGED: f"judged from {criteria.rating_count:,} on, and holds nothing back",
    }
    return Finding(
        criterion="ratings",
        outcome=outcome,
        reason=Reason.ABSOLUTE,
        value=value,
        low=low,
        high=high,
        limit=criteria.rating_mean,
        sample=count,
        explanation=f"{said}: {meaning[outcome]}.",
    )


ERROR_RATE: Final = Criterion(_weigh_errors, _explain_errors)
"""The error rate of the gated methods."""
SLOW: Final = Criterion(_weigh_slow, _explain_slow)
"""The quantile of their durations."""
NEW_KINDS: Final = Criterion(_weigh_kinds, _explain_kinds)
"""Whether an unexpected error of a new kind has reached too many merchants."""
RATINGS: Final = Criterion(_weigh_ratings, _explain_ratings)
"""What merchants say. A rollback takes a proof that the mean is too low; to go on, it must be high
enough as it is."""
