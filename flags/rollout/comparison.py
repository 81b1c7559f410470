"""The criteria that compare the treatment with the control, on methods that both can call."""

from typing import Final

from flags.rollout import durations
from flags.rollout.evidence import Calls
from flags.rollout.finding import Case, Criterion, Finding, Outcome, Reason, as_percent
from flags.rollout.plan import Plan
from flags.rollout.sequential import low_ratio, proves_above, proves_worse

_NOTHING: Final = "There is too little of one of the arms to compare them."


def _guess(plan: Plan) -> float:
    """Return about which error rate is expected of the control."""
    return plan.criteria.error_rate / 2


def _failed(calls: Calls) -> tuple[int, int]:
    return calls.failed, calls.ended


def _weigh_errors(case: Case) -> Outcome:
    plan, treatment, control = case.plan, case.evidence.treatment, case.evidence.control
    if not (treatment.ended and control.ended):
        return Outcome.HOLD
    worse = proves_worse(
        _failed(treatment), _failed(control), plan.criteria.max_ratio, plan.confidence, _guess(plan)
    )
    return Outcome.FAIL if worse else Outcome.PASS


def _explain_errors(case: Case, outcome: Outcome) -> Finding:
    plan, treatment, control = case.plan, case.evidence.treatment, case.evidence.control
    ratio, confidence, guess = plan.criteria.max_ratio, plan.confidence, _guess(plan)
    value = low = high = None
    explanation = _NOTHING
    if treatment.ended and control.ended:
        rates = treatment.failed / treatment.ended, control.failed / control.ended
        value = rates[0] / rates[1] if control.failed else None
        low = low_ratio(_failed(treatment), _failed(control), ratio, confidence, guess)
        inverse = low_ratio(_failed(control), _failed(treatment), 1 / ratio, confidence, guess)
        high = 1 / inverse if inverse else None
        explanation = (
            f"{as_percent(rates[0])} of {treatment.ended:,} calls failed with the feature, "
            f"{as_percent(rates[1])} of {control.ended:,} without: {_claim(case, outcome)}."
        )
    return Finding(
        criterion="error rate, compared",
        outcome=outcome,
        reason=Reason.RELATIVE,
        value=value,
        low=low,
        high=high,
        limit=ratio,
        sample=treatment.ended,
        explanation=explanation,
    )


def _claim(case: Case, outcome: Outcome) -> str:
    if outcome is Outcome.HOLD:
        return "too few calls, or too slow ones for the histogram, to tell them apart"
    ratio = f"over {case.plan.criteria.max_ratio:g} times as much"
    if outcome is Outcome.FAIL:
        return f"{ratio}, {as_percent(case.plan.confidence)} sure"
    return f"not proven to be {ratio}"


def _each(confidence: float) -> float:
    """Return how sure each of two claims must be for both together to be as sure as asked."""
    return (1 + confidence) / 2


def _too_slow(case: Case) -> float | None:
    """Return the bound that the treatment's quantile must not be proven to exceed.

    The control's quantile is proven to keep some bound; this is the lowest that is `max_ratio`
    times as high. Of all bounds that are high enough, the lowest is exceeded by the most calls: a
    claim for another one is false only if that for the lowest is. So two chances of an error are to
    be counted, not one for each bound: that claim's, and that of the control's bound.
    """
    plan, control = case.plan, case.evidence.control
    kept = durations.at_most(control, plan.criteria.quantile, _each(plan.confidence))
    if kept is None:
        return None
    return durations.bound_from(case.evidence.treatment, kept * plan.criteria.max_ratio)


def _weigh_slower(case: Case) -> Outcome:
    plan, treatment = case.plan, case.evidence.treatment
    bound = _too_slow(case)
    if bound is None or not treatment.timed:
        return Outcome.HOLD
    slower = proves_above(
        durations.over(treatment, bound),
        treatment.timed,
        1 - plan.criteria.quantile,
        _each(plan.confidence),
    )
    return Outcome.FAIL if slower else Outcome.PASS


def _explain_slower(case: Case, outcome: Outcome) -> Finding:
    plan, treatment, control = case.plan, case.evidence.treatment, case.evidence.control
    quantile, confidence = plan.criteria.quantile, _each(plan.confidence)
    name = f"p{quantile * 100:g}"
    mine, others = (durations.estimate(calls, quantile) for calls in (treatment, control))
    value = low = high = None
    explanation = _NOTHING
    if mine is not None and others:
        value = mine / others
        kept = durations.at_most(control, quantile, confidence)
        low = durations.at_least(treatment, quantile, confidence) / kept if kept else None
        exceeded = durations.at_least(control, quantile, confidence)
        most = durations.at_most(treatment, quantile, confidence)
        high = most / exceeded if most and exceeded else None
        explanation = (
            f"{name} is about {mine:.3g} s with the feature, {others:.3g} s without: "
            f"{_claim(case, outcome)}."
        )
    return Finding(
        criterion=f"{name}, compared",
        outcome=outcome,
        reason=Reason.RELATIVE,
        value=value,
        low=low,
        high=high,
        limit=plan.criteria.max_ratio,
        sample=treatment.timed,
        explanation=explanation,
    )


MORE_ERRORS: Final = Criterion(_weigh_errors, _explain_errors)
"""The error rate. It need not be proven to be as good: that would take far more calls."""
SLOWER: Final = Criterion(_weigh_slower, _explain_slower)
"""The quantile of the durations; as finely as the buckets are."""
