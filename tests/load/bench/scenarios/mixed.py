"""100 users at once, and 1,000 connections."""

from statistics import median
from typing import Final

from tests.load.bench.lab import Lab, say
from tests.load.bench.report import Outcome
from tests.load.bench.users import Experience, Group, live
from tests.load.world import calls
from tests.load.world.patron import serving

MIX: Final = {"GetSummary": 60, "GetCustomer": 20, "ListCustomers": 10, "CreateBill": 10}
"""The mixed scenario of the project."""
PAUSE: Final = (0.1, 0.3)
"""From and to how many seconds a user looks at an answer."""
_SECONDS = 20
_WARM_UP_SECONDS = 5
_CONNECTIONS = 1000
_CONNECTIONS_SECONDS = 60
_BUSY = 0.8
"""From which share of its core on a generator is told of."""


def measure_users(lab: Lab) -> Outcome:
    """Let 100 users call the mixed scenario, again and again; every round counts its errors."""
    rounds: list[Experience] = []
    with serving("users", lab.world.databases, lab.cores) as patron:
        group = mixed_group(lab, patron.target)
        for turn in range(lab.effort.rounds):
            met = live(group)
            rounds.append(met)
            say(f"round {turn + 1}: {describe(met)}")
    return Outcome(
        {
            "users_100_p95_ms": median(met.milliseconds["p95"] for met in rounds),
            "users_100_errors": sum(met.failed for met in rounds),
            "summary_hit_rate": median(_hit_rate(met) for met in rounds),
        },
        {"rounds": rounds, "seconds": group.seconds},
    )


def measure_connections(lab: Lab) -> Outcome:
    """Let each of 1,000 connections ask for a summary once a second."""
    world = lab.world
    with serving("connections", world.databases, lab.cores) as patron:
        met = live(
            Group(
                target=patron.target,
                users=_CONNECTIONS,
                seconds=lab.effort.seconds(_CONNECTIONS_SECONDS),
                warm_up=_WARM_UP_SECONDS,
                mix={"GetSummary": 1},
                tokens=world.tokens.all_of(calls.MERCHANTS),
                billed=[],
                every=1,
            )
        )
    say(describe(met))
    return Outcome(
        {
            "connections_1000_p99_ms": met.milliseconds["p99"],
            "connections_1000_errors": met.failed,
        },
        {"met": met},
    )


def mixed_group(lab: Lab, target: str) -> Group:
    """Return 100 users of the mixed scenario."""
    return Group(
        target=target,
        users=100,
        seconds=lab.effort.seconds(_SECONDS),
        warm_up=_WARM_UP_SECONDS,
        mix=MIX,
        tokens=lab.world.tokens.all_of(calls.MERCHANTS),
        billed=list(calls.BILLED_MERCHANTS),
        pause=PAUSE,
    )


def describe(met: Experience) -> str:
    """Return what users met, for the progress."""
    times = ", ".join(f"{name} {value:.1f}" for name, value in met.milliseconds.items())
    errors = f"errors {met.errors}" if met.errors else "no errors"
    busy = f", the generator {met.busy:.0%} busy" if met.busy > _BUSY else ""
    return f"{met.calls} calls, {errors}, {times} ms, {_hit_rate(met):.1%} hits{busy}"


def _hit_rate(met: Experience) -> float:
    return met.hits / max(1, met.methods.get("GetSummary", 0))
