"""Rollouts on PostgreSQL, as the maintenance role."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import asyncpg
import msgspec
from sqlalchemy import Interval, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from flags.rollout.documents import DocumentUnreadable, from_document, to_document
from flags.rollout.ports import Saved, StateChanged, StoreUnreachable
from flags.rollout.state import Entry, State
from server.storage.errors import DatabaseUnreachable, connecting
from server.storage.schema import rollout, rollout_audit, rollout_lease
from server.storage.statements import Statement, parameter

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

_FLAG: Final = parameter(rollout.c.flag)
_DOCUMENT: Final = parameter(rollout.c.document)
_AUDIT: Final = ("flag", "happened_at", "actor", "action", "percent", "reason", "document")
_ELSEWHERE: Final = ("history", "look")
"""What of a state the record leaves out: the one is the record itself, the other is large."""

_PATIENCE: Final = 5.0
"""How many seconds anything may take."""

_LOAD: Final = Statement(
    select(rollout.c.document, rollout.c.version).where(rollout.c.flag == _FLAG)
)
_LIST: Final = Statement(select(rollout.c.document, rollout.c.version).order_by(rollout.c.flag))
_CREATE: Final = Statement(
    insert(rollout)
    .values(flag=_FLAG, document=_DOCUMENT, version=1)
    .on_conflict_do_nothing()
    .returning(rollout.c.version)
)
_REPLACE: Final = Statement(
    update(rollout)
    .where(rollout.c.flag == _FLAG, rollout.c.version == parameter(rollout.c.version, "expected"))
    .values(document=_DOCUMENT, version=rollout.c.version + 1)
    .returning(rollout.c.version)
)
# What is recorded again, as by somebody who died before it was known to be, is there once.
_RECORD: Final = Statement(
    insert(rollout_audit)
    .values({name: parameter(rollout_audit.c[name]) for name in _AUDIT})
    .on_conflict_do_nothing()
)
_HOLDER: Final = parameter(rollout_lease.c.holder)
# By the clock of the database, the only one that all controllers share.
_NOW: Final = func.clock_timestamp()
_UNTIL: Final = _NOW + bindparam("lease", type_=Interval)
_TAKE: Final = Statement(
    insert(rollout_lease)
    .values(flag=_FLAG, holder=_HOLDER, held_until=_UNTIL)
    .on_conflict_do_update(
        index_elements=["flag"],
        set_={"holder": _HOLDER, "held_until": _UNTIL},
        where=or_(
            rollout_lease.c.holder == _HOLDER,
            rollout_lease.c.held_until < _NOW,
        ),
    )
    .returning(rollout_lease.c.flag)
)
_DROP: Final = Statement(
    delete(rollout_lease).where(
        rollout_lease.c.flag == _FLAG,
        rollout_lease.c.holder == _HOLDER,
    )
)


class PostgresRollouts:
    """Keeps the states of rollouts, and the record of who did what."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str) -> AsyncIterator[Self]:
        """Lend the store behind a URL; it connects when it is used, and closes at the end.

        Args:
            url: The database, as the maintenance role. The serving role may `load` and `list`.
        """
        pool = asyncpg.create_pool(
            url, min_size=0, max_size=4, timeout=_PATIENCE, command_timeout=_PATIENCE
        )
        async with pool:
            try:
                yield cls(pool)
            finally:
                # Closing waits for what hangs.
                pool.terminate()

    async def load(self, flag: str) -> Saved | None:
        rows = await self._fetch(_LOAD, {"flag": flag})
        return _saved(rows[0]) if rows else None

    async def list(self) -> list[Saved]:
        return [_saved(row) for row in await self._fetch(_LIST, {})]

    async def save(self, state: State, *, version: int | None, entries: tuple[Entry, ...]) -> int:
        document = to_document(state)
        values = {"flag": state.flag, "document": _as_json(document), "expected": version}
        async with self._connection() as connection, connection.transaction():
            rows = await _run(connection, _CREATE if version is None else _REPLACE, values)
            if not rows:
                raise StateChanged(f"The state of {state.flag} was changed meanwhile.")
            rest = {name: value for name, value in document.items() if name not in _ELSEWHERE}
            for entry in entries:
                await _run(connection, _RECORD, _record(state.flag, entry, _as_json(rest)))
            new: int = rows[0]["version"]
        return new

    async def take_lease(self, flag: str, holder: str, seconds: float) -> bool:
        lease = timedelta(seconds=seconds)
        return bool(await self._fetch(_TAKE, {"flag": flag, "holder": holder, "lease": lease}))

    async def drop_lease(self, flag: str, holder: str) -> None:
        await self._fetch(_DROP, {"flag": flag, "holder": holder})

    async def record(self, flag: str, entries: tuple[Entry, ...]) -> None:
        async with self._connection() as connection, connection.transaction():
            for entry in entries:
                await _run(connection, _RECORD, _record(flag, entry, None))

    async def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            StoreUnreachable: There is none.
        """
        await self._fetch(Statement(select(1)), {})

    async def _fetch(
        self, statement: Statement, values: Mapping[str, Any]
    ) -> Sequence[asyncpg.Record]:
        async with self._connection() as connection:
            return await _run(connection, statement, values)

    @asynccontextmanager
    async def _connection(self) -> "AsyncIterator[Connection]":
        with _reached():
            async with self._pool.acquire(timeout=_PATIENCE) as connection:
                yield connection


@contextmanager
def _reached() -> Iterator[None]:
    """Raise what asyncpg raises as what it means to a controller."""
    try:
        with connecting():
            yield
    except DatabaseUnreachable as error:
        raise StoreUnreachable(str(error)) from error
    except asyncpg.UndefinedTableError as error:
        raise StoreUnreachable(
            "PostgreSQL has no table of rollouts: run `patron db migrate`"
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreUnreachable(f"PostgreSQL refuses: {error}") from error


async def _run(
    connection: "Connection", statement: Statement, values: Mapping[str, Any]
) -> Sequence[asyncpg.Record]:
    return await connection.fetch(statement.sql, *statement.arguments(values))


def _saved(row: asyncpg.Record) -> Saved:
    try:
        state = from_document(msgspec.json.decode(row["document"]))
    except DocumentUnreadable as error:
        raise StoreUnreachable(f"a state in PostgreSQL cannot be read: {error}") from error
    return Saved(state, row["version"])


def _record(flag: str, entry: Entry, document: str | None) -> dict[str, Any]:
    return {
        "flag": flag,
        "happened_at": datetime.fromtimestamp(entry.at, UTC),
        "actor": entry.actor,
        "action": entry.action,
        "percent": entry.percent,
        "reason": entry.reason,
        "document": document,
    }


def _as_json(document: Mapping[str, Any]) -> str:
    return msgspec.json.encode(document).decode()
