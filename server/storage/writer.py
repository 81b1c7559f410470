"""Writes: each in one transaction, once for each request, in turn for each merchant."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

import asyncpg
import msgspec
from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert

from domain.errors import InvalidRequestError, Reason
from domain.model.caller import Caller
from domain.model.merchant import Revision
from domain.model.request import RequestKey, Written
from domain.ports import Clock, WriteTransaction
from server.storage.database import Database, Transaction
from server.storage.errors import WriteConflictError, merchant_unknown, write_contended
from server.storage.records import MERCHANT, to_merchant
from server.storage.schema import idempotency, merchant
from server.storage.statements import OWN_MERCHANT, Statement, parameter
from server.storage.write_transaction import PostgresWriteTransaction

T = TypeVar("T")

_ATTEMPTS: Final = 5
_WRITERS_PER_MERCHANT: Final = 2
"""How many writers of one merchant may hold or await a connection, so that others find one."""

_CLAIMED: Final = (
    insert(idempotency)
    .values(
        {
            name: parameter(idempotency.c[name])
            for name in ("merchant_id", "request_id", "method", "digest", "created_at")
        }
    )
    .on_conflict_do_nothing()
    .returning(idempotency.c.request_id)
    .cte("claimed")
)
# The key comes first: a repeated request waits for the first one without holding anything.
_CLAIM: Final = Statement(
    select(*MERCHANT)
    .where(OWN_MERCHANT, exists(select(_CLAIMED.c.request_id)))
    .with_for_update(of=merchant, key_share=True)
)
_LOCK: Final = Statement(
    select(*MERCHANT).where(OWN_MERCHANT).with_for_update(of=merchant, key_share=True)
)
_STORED: Final = Statement(
    select(
        *MERCHANT,
        idempotency.c.method,
        idempotency.c.digest,
        idempotency.c.answer,
        idempotency.c.revision,
    )
    .select_from(
        merchant.outerjoin(
            idempotency,
            (idempotency.c.merchant_id == merchant.c.merchant_id)
            & (idempotency.c.request_id == parameter(idempotency.c.request_id)),
        )
    )
    .where(OWN_MERCHANT)
)


class PostgresWriter:
    """Runs writes on PostgreSQL; the port is `domain.ports.Writer`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._turns: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()

    async def write(
        self,
        caller: Caller,
        key: RequestKey | None,
        answer: type[T],
        work: Callable[[WriteTransaction], Awaitable[T]],
    ) -> Written[T]:
        until = asyncio.get_running_loop().time() + self._database.patience(caller)
        async with self._turn(caller, until):
            for _ in range(_ATTEMPTS):
                try:
                    return await self._attempt(caller, key, answer, work, until)
                except WriteConflictError:
                    continue
            raise write_contended()

    @asynccontextmanager
    async def _turn(self, caller: Caller, until: float) -> AsyncIterator[None]:
        turn = self._turns.setdefault(caller.merchant_id, asyncio.Semaphore(_WRITERS_PER_MERCHANT))
        await _in_time(turn.acquire(), until)
        try:
            yield
        finally:
            turn.release()

    async def _attempt(
        self,
        caller: Caller,
        key: RequestKey | None,
        answer: type[T],
        work: Callable[[WriteTransaction], Awaitable[T]],
        until: float,
    ) -> Written[T]:
        now = self._clock()
        async with self._database.transaction(caller) as transaction:
            if key is None:
                claimed = await _in_time(transaction.fetch(_LOCK), until)
                if not claimed:
                    raise merchant_unknown()
            else:
                claim = {
                    "request_id": key.id,
                    "method": key.method,
                    "digest": key.digest,
                    "created_at": now,
                }
                claimed = await _in_time(transaction.fetch(_CLAIM, claim), until)
                if not claimed:
                    return await _stored(transaction, key, answer)
            (row,) = claimed
            writing = PostgresWriteTransaction(
                transaction,
                merchant=to_merchant(row),
                next_bill_number=row["next_bill_number"],
                request_id=None if key is None else key.id,
                actor=caller.subject,
                now=now,
            )
            value = await work(writing)
        reached = Revision(row["epoch"], writing.reached)
        return Written(value, reached, current=reached)


async def _in_time(waiting: Awaitable[T], until: float) -> T:
    """Wait for a turn or a lock until a time of the loop, however many of them it takes.

    Raises:
        AbortedError: The time is over.
    """
    limit = asyncio.timeout_at(until)
    try:
        async with limit:
            return await waiting
    except TimeoutError:
        if limit.expired():
            raise write_contended() from None
        raise


async def _stored(transaction: Transaction, key: RequestKey, answer: type[T]) -> Written[T]:
    """Return the answer that the request got when it came first."""
    rows: list[asyncpg.Record] = await transaction.fetch(_STORED, {"request_id": key.id})
    if not rows:
        raise merchant_unknown()
    (row,) = rows
    if (row["method"], row["digest"]) != (key.method, key.digest):
        raise InvalidRequestError(
            Reason.REQUEST_ID_REUSED, "the request id was used for another request"
        )
    return Written(
        msgspec.json.decode(row["answer"], type=answer),
        Revision(row["epoch"], row["revision"]),
        current=to_merchant(row).revision,
        replayed=True,
    )
