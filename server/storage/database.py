"""Transactions on PostgreSQL, each of one merchant."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID

import asyncpg
from sqlalchemy import select

from domain.errors import revision_unknown
from domain.model.caller import Caller
from domain.model.merchant import Revision
from server.storage import migrate
from server.storage.errors import (
    StorageError,
    acquiring,
    connecting,
    merchant_unknown,
    translated,
)
from server.storage.schema import (
    MAINTENANCE_ROLE,
    SERVING_ROLE,
    database_epoch,
    merchant,
)
from server.storage.statements import OWN_MERCHANT, Statement

_READ: Final = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""One snapshot for all that a report reads."""
_WRITE: Final = "ISOLATION LEVEL READ COMMITTED"
"""A statement sees what the lock before it waited for."""

if TYPE_CHECKING:
    # Generic in the stubs alone.
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

_CLEAN_UP: Final = 5.0
"""How many seconds the end of a broken transaction may take."""

_REVISION: Final = Statement(
    select(
        merchant.c.revision, select(database_epoch.c.epoch).scalar_subquery().label("epoch")
    ).where(OWN_MERCHANT)
)

_SETTLED: Final = Statement(
    select(merchant.c.merchant_id).where(OWN_MERCHANT).with_for_update(read=True, of=merchant)
)

_SEES_EVERY_MERCHANT: Final = """
SELECT rolsuper OR rolbypassrls
    OR pg_has_role(current_user, $1, 'MEMBER')
    OR EXISTS (SELECT FROM pg_tables WHERE tablename = 'merchant' AND tableowner = current_user)
FROM pg_roles WHERE rolname = current_user
"""


def _ignore(_seconds: float) -> None:
    pass


class Transaction:
    """An open transaction of one merchant."""

    def __init__(self, connection: "Connection", caller: Caller) -> None:
        self._connection = connection
        self._merchant_id = caller.merchant_id

    async def fetch(
        self, statement: Statement, values: Mapping[str, Any] | None = None
    ) -> list[asyncpg.Record]:
        """Run a statement with the parameter `merchant_id` and these, and return its rows."""
        arguments = statement.arguments({"merchant_id": self._merchant_id, **(values or {})})
        return await self._connection.fetch(statement.sql, *arguments)

    async def require(self, seen: Revision) -> None:
        """Do nothing when this snapshot of the merchant contains a revision.

        Raises:
            PermissionDeniedError: The caller's merchant is not known.
            FailedPreconditionError: It does not (REVISION_UNKNOWN).
        """
        ((number, epoch),) = await self.fetch_own(_REVISION, {})
        if not Revision(epoch, number).contains(seen):
            raise revision_unknown()

    async def fetch_own(
        self, statement: Statement, values: Mapping[str, Any]
    ) -> list[asyncpg.Record]:
        """Return the rows of a statement that has at least one for every merchant.

        Raises:
            PermissionDeniedError: The caller's merchant is not known.
        """
        rows = await self.fetch(statement, values)
        if not rows:
            raise merchant_unknown()
        return rows


class Database:
    """A pool of connections of the serving role."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        *,
        acquire_timeout: float,
        lock_timeout: float,
        observe_wait: Callable[[float], None] = _ignore,
    ) -> None:
        self._pool = pool
        self._acquire_timeout = acquire_timeout
        self._lock_timeout = lock_timeout
        self._observe_wait = observe_wait

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        pool_size: int,
        lock_timeout: float,
        acquire_timeout: float = 5.0,
        observe_wait: Callable[[float], None] = _ignore,
    ) -> AsyncIterator[Self]:
        """Connect, check that it is safe to serve from, and close at the end.

        Args:
            url: The database, with a role that row-level security applies to.
            pool_size: How many connections to keep at most.
            lock_timeout: How long a call waits for other writes at most, in seconds.
            acquire_timeout: How long a call waits for a connection at most, in seconds.
            observe_wait: Is told how long each call waited for its connection, in seconds.

        Raises:
            StorageError: The role can bypass row-level security, or the schema is another one.
            DatabaseUnreachable: The database cannot be reached.
        """
        with connecting():
            pool = await asyncpg.create_pool(
                url,
                min_size=min(2, pool_size),
                max_size=pool_size,
                timeout=acquire_timeout,
                reset=_reset,
                server_settings={
                    "application_name": "patron",
                    "idle_in_transaction_session_timeout": "30s",
                    "jit": "off",
                },
            )
        try:
            with connecting():
                await _check(pool)
            yield cls(
                pool,
                acquire_timeout=acquire_timeout,
                lock_timeout=lock_timeout,
                observe_wait=observe_wait,
            )
        finally:
            try:
                await asyncio.wait_for(pool.close(), _CLEAN_UP)
            except TimeoutError:
                pool.terminate()

    @property
    def idle_connections(self) -> int:
        """How many open connections wait to be used."""
        return self._pool.get_idle_size()

    @property
    def busy_connections(self) -> int:
        """How many connections are in use."""
        return self._pool.get_size() - self._pool.get_idle_size()

    @property
    def max_connections(self) -> int:
        """How many connections there may be."""
        return self._pool.get_max_size()

    def patience(self, caller: Caller) -> float:
        """Return how many seconds a call may wait for other writes.

        Raises:
            DeadlineExceededError: The caller's deadline is over.
        """
        remaining = caller.remaining()
        return self._lock_timeout if remaining is None else min(self._lock_timeout, remaining / 2)

    async def revision(self, merchant_id: UUID) -> Revision | None:
        """Return the merchant's revision after the write that is under way, if any.

        None when there is no such merchant.

        Raises:
            PatronError: As `translated` says.
        """
        caller = Caller(merchant_id, "", time.monotonic() + self._acquire_timeout)
        async with self.transaction(caller) as transaction:
            # A COMMIT whose connection was lost may take effect at any later time.
            await transaction.fetch(_SETTLED)
            rows = await transaction.fetch(_REVISION)
        return Revision(rows[0]["epoch"], rows[0]["revision"]) if rows else None

    async def ping(self) -> None:
        """Ask the database for a sign of life; raises when there is none."""
        with translated():
            await self._pool.execute("SELECT 1", timeout=self._acquire_timeout)

    async def read(
        self, caller: Caller, statement: Statement, values: Mapping[str, Any]
    ) -> list[asyncpg.Record]:
        """Return the rows of a statement that has at least one for every merchant.

        They are of one snapshot, in which only the caller's merchant can be seen.

        Raises:
            PatronError: As `translated` says, no connection was free in time, or the merchant is
                not known, or has not reached what the caller has seen.
        """
        # The way of every read: a context manager of its own would cost as much as a round trip.
        with translated():
            connection = await self._acquire(caller)
            try:
                await connection.execute(self._begin(caller, _READ))
                transaction = Transaction(connection, caller)
                if caller.seen is not None:
                    await transaction.require(caller.seen)
                rows = await transaction.fetch_own(statement, values)
                await connection.execute("COMMIT")
            except BaseException:
                await _roll_back(connection)
                raise
            finally:
                # The pool would clean up within the time that was left to get the connection.
                await self._pool.release(connection, timeout=_CLEAN_UP)
        return rows

    @asynccontextmanager
    async def transaction(self, caller: Caller) -> AsyncIterator[Transaction]:
        """Run the body in one transaction, in which only the caller's merchant can be seen.

        It is committed when the body ends and rolled back when it raises. Its statements end with
        the caller's deadline.

        Raises:
            PatronError: As `translated` says, or no connection was free in time.
            WriteConflictError: The transaction may be run again.
        """
        with translated():
            connection = await self._acquire(caller)
            try:
                try:
                    await connection.execute(self._begin(caller, _WRITE))
                    yield Transaction(connection, caller)
                except BaseException:
                    await _roll_back(connection)
                    raise
                await connection.execute("COMMIT")
            finally:
                # The pool would clean up within the time that was left to get the connection.
                await self._pool.release(connection, timeout=_CLEAN_UP)

    async def _acquire(self, caller: Caller) -> "Connection":
        remaining = caller.remaining()
        # Half of it, so that the caller is still there to be told when to try again.
        wait = self._acquire_timeout if remaining is None else remaining / 2
        wait = min(wait, self._acquire_timeout)
        begun = time.perf_counter()
        try:
            with acquiring():
                if self._pool.get_idle_size():
                    # It is had at once: a time-out would cost more than that.
                    return await self._pool.acquire()
                return await self._pool.acquire(timeout=wait)
        finally:
            self._observe_wait(time.perf_counter() - begun)

    def _begin(self, caller: Caller, mode: str) -> str:
        """Return the statements that open a transaction, in one message to save round trips."""
        remaining = caller.remaining()
        return (
            f"BEGIN {mode};"
            f"SET LOCAL patron.merchant = '{caller.merchant_id}';"
            f"SET LOCAL lock_timeout = {_milliseconds(self.patience(caller))};"
            f"SET LOCAL statement_timeout = {0 if remaining is None else _milliseconds(remaining)}"
        )


async def _roll_back(connection: "Connection") -> None:
    # Outside a transaction, where BEGIN did not get, this is but a warning.
    if not connection.is_closed():
        await connection.execute("ROLLBACK", timeout=_CLEAN_UP)


def _milliseconds(seconds: float) -> int:
    """Return a time as PostgreSQL's settings take it: 0 would be for ever."""
    return min(max(1, int(seconds * 1000)), 2**31 - 1)


async def _reset(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Leave a connection to its next user as it is: all settings were local to a transaction."""


async def _check(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    stored = await migrate.stored_revision(pool)
    if stored != migrate.head():
        raise StorageError(
            f"The schema is at revision {stored or 'nothing'}, this release needs "
            f"{migrate.head()}: run `patron db migrate`."
        )
    if await pool.fetchval(_SEES_EVERY_MERCHANT, MAINTENANCE_ROLE):
        raise StorageError(
            "The role of PATRON_DATABASE_URL is a superuser, has BYPASSRLS, owns the tables or is "
            f"a member of {MAINTENANCE_ROLE}: merchants would not be kept apart. Serve with a "
            f"member of {SERVING_ROLE} alone."
        )
