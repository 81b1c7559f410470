"""What becomes of transactions that are not left to end in peace."""

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.errors import DeadlineExceededError
from domain.model.caller import Caller
from server.storage.database import Database
from server.storage.records import MERCHANT
from server.storage.statements import OWN_MERCHANT, Statement
from tests.support.service import Service

_SLOW = Statement(select(*MERCHANT, func.pg_sleep(0.003)).where(OWN_MERCHANT))


async def test_cancelled_at_any_point(service: Service) -> None:
    """A cancelled transaction leaves no connection behind that is lost, busy or complained of."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    merchant_id = await service.create_merchant()
    random_ = random.Random(1)

    async def run(database: Database, seconds: float) -> None:
        async with database.transaction(Caller(merchant_id, "a-test")) as transaction:
            await transaction.fetch(_SLOW)
            await asyncio.sleep(seconds)

    async with Database.connect(service.urls.serving, pool_size=4, lock_timeout=1) as database:
        for _ in range(60):
            tasks = [asyncio.create_task(run(database, random_.random() / 500)) for _ in range(6)]
            await asyncio.sleep(random_.random() / 100)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(run(database, 0) for _ in range(8)))
    asyncio.get_running_loop().set_exception_handler(None)

    assert complaints == []
    async with service.database() as connection:
        open_ = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        assert await connection.fetchval(open_) == 0


async def test_a_deadline_that_is_nearly_over(service: Service) -> None:
    """A call with milliseconds left ends as one whose deadline passed, or is served."""
    merchant_id = await service.create_merchant()
    loop = asyncio.get_running_loop()
    async with Database.connect(service.urls.serving, pool_size=2, lock_timeout=1) as database:
        for microseconds in range(100, 6000, 100):
            caller = Caller(merchant_id, "a-test", loop.time() + microseconds / 1e6)
            with suppress(DeadlineExceededError):
                async with database.transaction(caller) as transaction:
                    await transaction.fetch(_SLOW)


async def test_counts_connections(service: Service) -> None:
    """The pool tells which connections are in use, and how long each transaction waited for one."""
    caller = Caller(await service.create_merchant(), "a-test")
    waits: list[float] = []
    async with Database.connect(
        service.urls.serving, pool_size=2, lock_timeout=1, observe_wait=waits.append
    ) as database:

        def connections() -> tuple[int, int]:
            return database.busy_connections, database.idle_connections

        assert (connections(), database.max_connections) == ((0, 2), 2)
        async with database.transaction(caller):
            assert connections() == (1, 1)
        assert connections() == (0, 2)

    assert len(waits) == 1


def test_a_parameter_that_nobody_gave() -> None:
    """A statement is not run with a parameter left out, which would be null."""
    with pytest.raises(KeyError):
        _SLOW.arguments({})
