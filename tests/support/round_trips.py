"""What a call costs in PostgreSQL."""

from collections.abc import Awaitable
from typing import Any

from server.storage.database import Database


async def round_trips(database: Database, call: Awaitable[object]) -> int:
    """Return how many statements a call sends, one after the other, by a pool of one connection."""
    sent: list[str] = []

    def log(record: Any) -> None:
        sent.append(record.query)

    pool: Any = database._pool
    [holder] = pool._holders
    with holder._con.query_logger(log):
        await call
    return len(sent)
