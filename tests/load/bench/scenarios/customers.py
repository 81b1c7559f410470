"""GetCustomer from PostgreSQL, whole chain, against asyncpg making the same round trips."""

from tests.load.bench.asyncpg_floor import AsyncpgFloor
from tests.load.bench.h2load import CONNECTIONS, STREAMS, Load
from tests.load.bench.lab import Lab, say
from tests.load.bench.places import FOLDER
from tests.load.bench.recorded import record
from tests.load.bench.report import Outcome
from tests.load.bench.samples import median_ratio
from tests.load.world import calls
from tests.load.world.patron import serving

_METHOD = "GetCustomer"
_SECONDS = 4
_MERCHANT, _CUSTOMER = 50, 1
_POOL_SIZE = 10


def measure(lab: Lab) -> Outcome:
    """Take the rates of both in turn."""
    world = lab.world
    request = calls.get_customer(_MERCHANT, _CUSTOMER)
    sent = record(lab.cores, world, _METHOD, _MERCHANT, first=request, then=request)
    floor = AsyncpgFloor(
        url=world.databases.urls.serving,
        sent=sent,
        pool_size=_POOL_SIZE,
        concurrency=CONNECTIONS * STREAMS,
        seconds=lab.effort.seconds(_SECONDS),
    )
    settings = {"PATRON_DATABASE_POOL_SIZE": str(_POOL_SIZE)}
    with serving("customers", world.databases, lab.cores, settings) as patron:
        load = Load(
            FOLDER,
            patron.target,
            calls.path(_METHOD),
            request.SerializeToString(),
            world.tokens.of(_MERCHANT),
        )
        count = load.calls_in(lab.effort.seconds(_SECONDS))
        before = patron.answered(_METHOD)
        figures: list[float] = []
        floors: list[float] = []
        for turn in range(lab.effort.rounds):
            floors.append(floor.run(lab.cores))
            figures.append(load.run(count))
            say(f"round {turn + 1}: asyncpg {floors[-1]:,.0f}/s, {_METHOD} {figures[-1]:,.0f}/s")
        patron.expect_answered(_METHOD, before, lab.effort.rounds * count)
    return Outcome(
        {"get_customer_vs_asyncpg": median_ratio(figures, floors)},
        {"calls_per_second": {"patron": figures, "asyncpg": floors}},
    )
