"""The memory of a warm worker, and its growth over a million calls."""

from tests.load.bench.lab import Lab, say
from tests.load.bench.report import Outcome
from tests.load.bench.scenarios.cached import METHOD, summary_load
from tests.load.bench.scenarios.mixed import mixed_group
from tests.load.bench.users import live
from tests.load.world.patron import Patron, serving

_CALLS = 1_000_000
_WARM_UP_CALLS = 50_000
_MB = 1_000_000


def measure(lab: Lab) -> Outcome:
    """Warm a worker up by all kinds of calls, then make the million."""
    with serving("memory", lab.world.databases, lab.cores) as patron:
        live(mixed_group(lab, patron.target))
        load = summary_load(lab, patron)
        load.run(lab.effort.count(_WARM_UP_CALLS))
        warm = _rss_mb(patron)
        calls = lab.effort.count(_CALLS)
        before = patron.answered(METHOD)
        rate = load.run(calls)
        patron.expect_answered(METHOD, before, calls)
        after = _rss_mb(patron)
    say(f"{warm:.1f} MB, {after:.1f} MB after {calls:,} calls at {rate:,.0f}/s")
    return Outcome(
        {
            "worker_rss_mb": warm,
            "rss_growth_mb_per_1m_calls": (after - warm) * _CALLS / calls,
        },
        {"warm_mb": warm, "after_mb": after, "calls": calls},
    )


def _rss_mb(patron: Patron) -> float:
    return patron.worker().memory_info().rss / _MB
