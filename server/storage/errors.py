"""What can go wrong with the database, and what it means to a caller."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from domain.errors import (
    AbortedError,
    AlreadyExistsError,
    DeadlineExceededError,
    NoConnectionError,
    PermissionDeniedError,
    Reason,
    UnavailableError,
)

_UNREACHABLE: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
)


class StorageError(Exception):
    """The database is not one that can be served from; the text says what to do."""


class DatabaseUnreachable(StorageError):
    """The database does not answer, or not yet, or takes no more connections."""


class WriteConflictError(Exception):
    """The database chose another transaction; this one may be run again."""


def merchant_unknown() -> PermissionDeniedError:
    """Return the error of a caller whose merchant is not here."""
    return PermissionDeniedError(Reason.MERCHANT_UNKNOWN, "the token's merchant is not known here")


def write_contended() -> AbortedError:
    """Return the error of a write that waited too long for another."""
    return AbortedError(
        Reason.WRITE_CONTENDED, "another write did not end in time", retry_after=0.5
    )


@contextmanager
def connecting() -> Iterator[None]:
    """Raise what asyncpg raises of a database that cannot be reached as DatabaseUnreachable."""
    try:
        yield
    except _UNREACHABLE as error:
        raise DatabaseUnreachable(f"cannot connect to PostgreSQL: {error}") from error


@contextmanager
def acquiring() -> Iterator[None]:
    """Raise what a pool raises that has no connection as what it means to a caller."""
    try:
        yield
    except TimeoutError as error:
        raise NoConnectionError(
            Reason.DEPENDENCY_UNAVAILABLE, "no database connection was free in time"
        ) from error
    except _UNREACHABLE as error:
        raise NoConnectionError(
            Reason.DEPENDENCY_UNAVAILABLE, "the database cannot be reached"
        ) from error


@contextmanager
def translated() -> Iterator[None]:
    """Raise what asyncpg raises as what it means to a caller."""
    try:
        yield
    except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
        raise WriteConflictError from error
    except asyncpg.LockNotAvailableError as error:
        raise write_contended() from error
    except asyncpg.QueryCanceledError as error:
        raise DeadlineExceededError(
            Reason.DEADLINE_EXCEEDED, "the deadline passed before the work was done"
        ) from error
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "ledger_entry_pkey":
            raise
        raise AlreadyExistsError(
            Reason.PAYMENT_ALREADY_EXISTS, "an id is that of another bill or payment"
        ) from error
    except _UNREACHABLE as error:
        raise UnavailableError(
            Reason.DEPENDENCY_UNAVAILABLE, "the database cannot be reached"
        ) from error
