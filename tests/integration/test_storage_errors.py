"""What an error of the database means to a caller."""

import asyncpg
import pytest

from domain.errors import (
    AbortedError,
    AlreadyExistsError,
    DeadlineExceededError,
    Reason,
    UnavailableError,
)
from server.storage.errors import WriteConflictError, translated
from tests.support.service import Service


@pytest.mark.parametrize(
    "raised, meant",
    [
        (asyncpg.SerializationError(), WriteConflictError),
        (asyncpg.DeadlockDetectedError(), WriteConflictError),
        (asyncpg.LockNotAvailableError(), AbortedError),
        (asyncpg.QueryCanceledError(), DeadlineExceededError),
        (ConnectionRefusedError(), UnavailableError),
        (asyncpg.ConnectionDoesNotExistError(), UnavailableError),
        (asyncpg.InterfaceError("connection is closed"), UnavailableError),
        (asyncpg.TooManyConnectionsError(), UnavailableError),
        (asyncpg.AdminShutdownError(), UnavailableError),
        (asyncpg.DiskFullError(), UnavailableError),
        (asyncpg.ReadOnlySQLTransactionError(), UnavailableError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_what_is_nobodys_fault(raised: Exception, meant: type[Exception]) -> None:
    """An error that another try may not meet is one of those that say so."""
    with pytest.raises(meant), translated():
        raise raised


def test_an_entry_that_is_there() -> None:
    """An id that a ledger entry has is named for what it is; any other such error is a bug."""
    entry, other = asyncpg.UniqueViolationError(), asyncpg.UniqueViolationError()
    entry.constraint_name, other.constraint_name = "ledger_entry_pkey", "bill_number_key"
    with pytest.raises(AlreadyExistsError) as taken, translated():
        raise entry
    assert taken.value.reason is Reason.PAYMENT_ALREADY_EXISTS
    with pytest.raises(asyncpg.UniqueViolationError), translated():
        raise other


@pytest.mark.parametrize("bug", [asyncpg.UndefinedColumnError(), asyncpg.DataError(), TypeError()])
def test_bugs_stay_what_they_are(bug: Exception) -> None:
    """An error that every other try would meet is not made to look like a passing one."""
    with pytest.raises(type(bug)), translated():
        raise bug


async def test_a_value_that_cannot_be_sent(service: Service) -> None:
    """A value that the driver cannot send is a bug: no other try would do better."""
    async with service.database() as connection:
        with pytest.raises(asyncpg.DataError), translated():
            await connection.fetchval("SELECT $1::int", "one")
