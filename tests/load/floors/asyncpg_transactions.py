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


async def _arguments(pool: "asyncpg.Pool[asyncpg.Record]", floor: AsyncpgFloor) -> list[list[Any]]:
    """Return the parameters of each message as asyncpg takes them."""
    found = []
    async with pool.acquire() as connection:
        for sent in floor.sent:
            if not sent.parameters:
                found.append([])
                continue
            types = (await connection.prepare(sent.sql)).get_parameters()
            found.append(
                [
                    None if text is None else _FROM_TEXT[type_.name](text)
                    for text, type_ in zip(sent.parameters, types, strict=True)
                ]
            )
    return found


async def _measure(floor: AsyncpgFloor) -> float:
    pool = await asyncpg.create_pool(
        floor.url,
        min_size=floor.pool_size,
        max_size=floor.pool_size,
        reset=_reset,
        server_settings={"jit": "off"},
    )
    arguments = await _arguments(pool, floor)
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


if __name__ == "__main__":
    sys.stdout.write(str(uvloop.run(_measure(msgspec.json.decode(sys.stdin.buffer.read(), type=AsyncpgFloor)))))
