"""CreateBill, whole chain, against the same statements run by pgbench."""

import asyncio
from typing import Final
from uuid import uuid4

import asyncpg

from patron.bill.v1.bill_service_pb2 import CreateBillRequest
from tests.load.bench.lab import Lab, say
from tests.load.bench.pgbench import WARM_UP_SECONDS, Pgbench, script
from tests.load.bench.places import FOLDER
from tests.load.bench.recorded import Sent, record
from tests.load.bench.report import Outcome
from tests.load.bench.samples import median_ratio
from tests.load.bench.users import Group, live
from tests.load.world import calls
from tests.load.world.errors import NotMeasured
from tests.load.world.merchants import World
from tests.load.world.patron import serving

_METHOD = "CreateBill"
_SECONDS = 5
_CLIENTS = 10
"""As many as connections in the pool."""
_POOL_SIZE = 10
_CUSTOMER = 1

# Numbers that are nowhere else in a transaction, so that they are found again in what was sent.
_REVISION: Final = 7_000_000_001
_NUMBER: Final = 7_100_000_001


def measure(lab: Lab) -> Outcome:
    """Take the rates of both in turn."""
    world = lab.world
    path = FOLDER / "create_bill.sql"
    path.write_text(_script(lab), encoding="utf-8")
    seconds = lab.effort.seconds(_SECONDS)
    floor = Pgbench(path, world.databases.urls.serving, clients=_CLIENTS, seconds=seconds)
    figures: list[float] = []
    floors: list[float] = []
    settings = {"PATRON_DATABASE_POOL_SIZE": str(_POOL_SIZE)}
    with serving("bills", world.databases, lab.cores, settings) as patron:
        group = Group(
            target=patron.target,
            users=_CLIENTS,
            seconds=seconds,
            warm_up=WARM_UP_SECONDS,
            mix={_METHOD: 1},
            tokens=world.tokens.all_of(calls.MERCHANTS),
            billed=list(calls.MERCHANTS),
        )
        for turn in range(lab.effort.rounds):
            floors.append(floor.run(lab.cores))
            met = live(group)
            if met.failed:
                raise NotMeasured(f"bills were refused: {met.errors}")
            figures.append(met.calls / seconds)
            say(f"round {turn + 1}: pgbench {floors[-1]:,.0f}/s, {_METHOD} {figures[-1]:,.0f}/s")
    return Outcome(
        {"create_bill_vs_pgbench": median_ratio(figures, floors)},
        {"bills_per_second": {"patron": figures, "pgbench": floors}},
    )


def _script(lab: Lab) -> str:
    """Record a bill and return the script that creates the like of it."""
    merchant = calls.RECORDED_MERCHANT
    bill_id, payment_id, request_id = uuid4(), uuid4(), uuid4()
    draft = calls.bill(merchant, _CUSTOMER, id=str(bill_id))
    draft.payments[0].id = str(payment_id)
    sent = record(
        lab.cores,
        lab.world,
        _METHOD,
        merchant,
        first=CreateBillRequest(request_id=str(uuid4()), bill=calls.bill(merchant, _CUSTOMER)),
        then=CreateBillRequest(request_id=str(request_id), bill=draft),
        between=lambda: asyncio.run(_mark(lab.world)),
    )
    fresh = {
        str(calls.merchant_id(merchant)): "md5('merchant ' || :merchant)::uuid",
        str(calls.customer_id(merchant, _CUSTOMER)): (
            "md5('customer ' || :merchant || ' ' || :customer)::uuid"
        ),
        str(bill_id): "md5('bill ' || :fresh)::uuid",
        str(payment_id): "md5('payment ' || :fresh)::uuid",
        str(request_id): "md5('request ' || :fresh)::uuid",
        str(_REVISION + 1): ":merchant_revision::bigint + 1",
        str(_NUMBER + 1): ":next_bill_number::bigint + 1",
        str(_NUMBER): ":next_bill_number::bigint",
    }
    _expect_all(sent, fresh)
    return script(
        sent,
        fresh,
        {
            "merchant": (calls.MERCHANTS[0], calls.MERCHANTS[-1]),
            "customer": (calls.CUSTOMERS[0], calls.CUSTOMERS[-1]),
            "fresh": (1, 2**53),
        },
    )


async def _mark(world: World) -> None:
    """Give the merchant a revision and a bill number that are nowhere else."""
    connection = await asyncpg.connect(world.databases.superuser_url)
    try:
        await connection.execute(
            "UPDATE merchant SET revision = $2, next_bill_number = $3 WHERE merchant_id = $1",
            calls.merchant_id(calls.RECORDED_MERCHANT),
            _REVISION,
            _NUMBER,
        )
    finally:
        await connection.close()


def _expect_all(sent: list[Sent], fresh: dict[str, str]) -> None:
    """Check that everything that has to differ between two transactions was found."""
    everything = " ".join(
        [sent[0].sql, *(text for each in sent for text in each.parameters if text is not None)]
    )
    missing = [sql for text, sql in fresh.items() if text not in everything]
    if missing:
        raise NotMeasured(f"the service does not send what it should: {missing}")
