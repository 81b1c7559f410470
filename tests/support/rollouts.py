"""A plan and evidence, as tests of the guarded rollout need them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flags.rollout.evidence import Calls, Evidence
from flags.rollout.plan import load_plan

PLAN_FILE: Final = Path(__file__).parents[2] / "flags/rollouts/customer-analytics.yaml"
PLAN: Final = load_plan(PLAN_FILE)
QUICK: Final = {0.1: 0.9, 0.25: 0.98, 0.5: 0.99, 1.0: 0.995, 2.0: 0.999, 5.0: 1.0}
"""Which share of the calls takes at most so many seconds."""
SLOW: Final = {0.1: 0.0, 0.25: 0.1, 0.5: 0.3, 1.0: 0.7, 2.0: 0.999, 5.0: 1.0}
"""The same of calls that are about five times slower, and still fast enough."""
TOO_SLOW: Final = {0.1: 0.0, 0.25: 0.0, 0.5: 0.0, 1.0: 0.1, 2.0: 0.5, 2.5: 1.0, 5.0: 1.0}


def calls(ended: int, failed: int = 0, durations: Mapping[float, float] = QUICK) -> Calls:
    """Return calls that all are timed."""
    within = {bound: round(share * ended) for bound, share in durations.items()}
    return Calls(ended, failed, ended, within)


def evidence(
    gated: Calls | None = None,
    treatment: Calls | None = None,
    control: Calls | None = None,
    error_merchants: Mapping[str, int] | None = None,
    ratings: Mapping[int, int] | None = None,
) -> Evidence:
    """Return the evidence of a feature that has long been healthy, but for what is given."""
    return Evidence(
        gated=gated or calls(20_000, 4),
        treatment=treatment or calls(20_000, 4),
        control=control or calls(180_000, 36),
        error_merchants=error_merchants or {},
        ratings={5: 30, 4: 20} if ratings is None else ratings,
    )
