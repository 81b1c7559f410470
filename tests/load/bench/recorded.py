"""What the service sends to PostgreSQL for one call, as PostgreSQL's own log tells it."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc
from google.protobuf.message import Message

from tests.load.bench.machine import Cores
from tests.load.world import calls
from tests.load.world.errors import NotMeasured
from tests.load.world.merchants import World
from tests.load.world.patron import serving

_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d [^\[]*\[(\d+)\] \S* ?([A-Z]+):  ", re.MULTILINE)
_TEXT = re.compile(r"(?P<kind>statement|execute [^:]+): (?P<sql>.*)", re.DOTALL)
_PARAMETER = re.compile(r"\$(\d+) = (?:NULL|'((?:[^']|'')*)')", re.DOTALL)
_LOG_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Sent:
    """One message: a prepared statement, or with the simple protocol one or more others."""

    sql: str
    parameters: tuple[str | None, ...] = ()
    """As texts, in the order of their numbers."""

    @property
    def ends(self) -> bool:
        """Whether it is the end of a transaction."""
        return self.sql.strip().upper() == "COMMIT"


def record(
    cores: Cores,
    world: World,
    method: str,
    merchant: int,
    *,
    first: Message,
    then: Message,
    between: Callable[[], None] = lambda: None,
) -> list[Sent]:
    """Make two calls and return the transaction of the second, from BEGIN to COMMIT.

    Args:
        cores: Where the server runs.
        world: Where the merchant is.
        method: What is called, by its short name.
        merchant: Who calls.
        first: A request that has every statement prepared.
        then: The request whose transaction is recorded.
        between: What to do between the calls.
    """
    databases = world.databases
    with _logging(databases.superuser_url):
        # All calls on one connection.
        settings = {"PATRON_DATABASE_POOL_SIZE": "1", "PATRON_CACHE_LOCAL_SECONDS": "0"}
        with (
            serving("recorded", databases, cores, settings) as patron,
            grpc.insecure_channel(patron.target) as channel,
        ):
            call: Any = channel.unary_unary(calls.path(method))
            metadata = world.tokens.metadata(merchant)
            call(first.SerializeToString(), metadata=metadata)
            between()
            start = databases.log.stat().st_size
            call(then.SerializeToString(), metadata=metadata)
            return _await_transaction(databases.log, start, calls.merchant_id(merchant))


@contextmanager
def _logging(superuser_url: str) -> Iterator[None]:
    """Have PostgreSQL log every statement of sessions that the serving role begins meanwhile."""

    async def alter(change: str) -> None:
        connection = await asyncpg.connect(superuser_url)
        try:
            await connection.execute(f"ALTER ROLE patron_serving {change}")
        finally:
            await connection.close()

    asyncio.run(alter("SET log_statement = 'all'"))
    try:
        yield
    finally:
        asyncio.run(alter("RESET log_statement"))


def _await_transaction(log: Path, start: int, merchant_id: UUID) -> list[Sent]:
    deadline = time.monotonic() + _LOG_SECONDS
    while time.monotonic() < deadline:
        with log.open("rb") as lines:
            lines.seek(start)
            found = transaction(lines.read().decode(), merchant_id)
        if found:
            return found
        time.sleep(0.1)
    raise NotMeasured(f"{log} has no transaction of the merchant {merchant_id}")


def transaction(log: str, merchant_id: UUID) -> list[Sent]:
    """Return the first whole transaction of a merchant in a part of the log; empty: none."""
    by_session: dict[str, list[Sent]] = {}
    for session, sent in _sent(log):
        so_far = by_session.setdefault(session, [])
        if sent.sql.startswith("BEGIN"):
            so_far.clear()
        so_far.append(sent)
        if sent.ends and str(merchant_id) in so_far[0].sql:
            return so_far
    return []


def _sent(log: str) -> Iterator[tuple[str, Sent]]:
    """Yield what was sent, each after its session."""
    entries = _ENTRY.split(log)[1:]
    heads = list(zip(entries[::3], entries[1::3], entries[2::3], strict=True))
    for at, (session, level, text) in enumerate(heads):
        found = _TEXT.match(text)
        if level != "LOG" or found is None:
            continue
        parameters: tuple[str | None, ...] = ()
        if at + 1 < len(heads) and heads[at + 1][:2] == (session, "DETAIL"):
            parameters = tuple(
                None if match[2] is None else match[2].replace("''", "'")
                for match in _PARAMETER.finditer(heads[at + 1][2])
            )
        # Further lines of an entry begin with a tab.
        yield session, Sent(found["sql"].rstrip("\n").replace("\n\t", "\n"), parameters)
