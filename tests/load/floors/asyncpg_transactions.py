"""The floor of a read, as a process: a transaction as JSON on stdin, its rate on stdout."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import msgspec
import uvloop

from tests.load.bench.asyncpg_floor import AsyncpgFloor
from tests.load.bench.recorded import Sent

if TYPE_CHECKING:
    # Generic in the stubs alone.
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

_WARM_UP_SECONDS = 1
_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "uuid": UUID,
    "text": str,
    "int4": int,
    "int8": int,
}


async def _reset(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Leave a connection as it is, as the service's pool does: all settings are transactions'."""


async def _arguments(floor: AsyncpgFloor) -> list[list[Any]]:
    """Return the parameters of each message as asyncpg takes them."""
    # Not on the pool's: one that has but prepared a statement is in a transaction until its next.
    connection = await asyncpg.connect(floor.url)
    try:
        return [await _typed(connection, sent) for sent in floor.sent]
    finally:
        await connection.close()


async def _typed(connection: "asyncpg.Connection[asyncpg.Record]", sent: Sent) -> list[Any]:
    if not sent.parameters:
        return []
    types = (await connection.prepare(sent.sql)).get_parameters()
    return [
        None if text is None else _FROM_TEXT[type_.name](text)
        for text, type_ in zip(sent.parameters, types, strict=True)
    ]


async def _measure(floor: AsyncpgFloor) -> float:
    pool = await asyncpg.create_pool(
        floor.url,
        min_size=floor.pool_size,
        max_size=floor.pool_size,
        reset=_reset,
        server_settings={"jit": "off"},
    )
    arguments = await _arguments(floor)
    messages = [(sent.sql, given) for sent, given in zip(floor.sent, arguments, strict=True)]
    since = time.monotonic() + _WARM_UP_SECONDS
    until = since + floor.seconds
    made = 0

    async def work() -> None:
        nonlocal made
        while (now := time.monotonic()) < until:
            async with pool.acquire() as connection:
                for sql, given in messages:
                    await _send(connection, sql, given)
            made += now >= since

    async with asyncio.TaskGroup() as tasks:
        for _ in range(floor.concurrency):
            tasks.create_task(work())
    await pool.close()
    return made / floor.seconds


async def _send(connection: "Connection", sql: str, given: list[Any]) -> None:
    if given:
        await connection.fetch(sql, *given)
    else:
        await connection.execute(sql)


def main() -> None:
    """Make the transactions of stdin and write how many a second."""
    floor = msgspec.json.decode(sys.stdin.buffer.read(), type=AsyncpgFloor)
    sys.stdout.write(str(uvloop.run(_measure(floor))))


if __name__ == "__main__":
    main()
