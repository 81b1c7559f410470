"""One hot merchant: how many bills it gets, and what the others notice of it."""

from statistics import median

from tests.load.bench.lab import Lab, say
from tests.load.bench.report import Outcome
from tests.load.bench.samples import median_ratio
from tests.load.bench.scenarios.mixed import describe
from tests.load.bench.users import Experience, Group, Running, live
from tests.load.world.patron import serving

_SECONDS = 10
_WARM_UP_SECONDS = 2
_WRITERS = 200
_OTHERS = 20
_OTHERS_PAUSE = (0.05, 0.15)
_HOT = 1
_CALM = range(51, 71)


def measure(lab: Lab) -> Outcome:
    """Let the others call alone and beside the writers, in turn."""
    alone: list[Experience] = []
    beside: list[Experience] = []
    written: list[Experience] = []
    seconds = lab.effort.seconds(_SECONDS)
    with serving("hot", lab.world.databases, lab.cores) as patron:
        others = _others(lab, patron.target, seconds)
        writers = _writers(lab, patron.target, seconds)
        for turn in range(lab.effort.rounds):
            alone.append(live(others))
            running = Running(writers)
            beside.append(live(others))
            written.append(running.result())
            say(f"round {turn + 1}: others alone: {describe(alone[-1])}")
            say(f"  beside the writers: {describe(beside[-1])}")
            say(f"  the writers: {describe(written[-1])}")
    return Outcome(
        {
            "hot_merchant_bills_per_s": median(met.calls / seconds for met in written),
            "hot_merchant_others_p99_ratio": median_ratio(
                [met.milliseconds["p99"] for met in beside],
                [met.milliseconds["p99"] for met in alone],
            ),
        },
        {"others_alone": alone, "others_beside": beside, "writers": written, "seconds": seconds},
    )


def _writers(lab: Lab, target: str, seconds: float) -> Group:
    return Group(
        target=target,
        users=_WRITERS,
        seconds=seconds,
        warm_up=_WARM_UP_SECONDS,
        mix={"CreateBill": 1},
        tokens=lab.world.tokens.all_of([_HOT]),
        billed=[_HOT],
    )


def _others(lab: Lab, target: str, seconds: float) -> Group:
    return Group(
        target=target,
        users=_OTHERS,
        seconds=seconds,
        warm_up=_WARM_UP_SECONDS,
        mix={"GetCustomer": 1, "GetSummary": 1},
        tokens=lab.world.tokens.all_of(_CALM),
        billed=[],
        pause=_OTHERS_PAUSE,
    )
