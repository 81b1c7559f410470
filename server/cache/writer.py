"""Writes that leave no stale answer behind."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from domain.errors import (
    AbortedError,
    AlreadyExistsError,
    InvalidRequestError,
    NoConnectionError,
    NotFoundError,
    PermissionDeniedError,
)
from domain.model.caller import Caller
from domain.model.request import RequestKey, Written
from domain.ports import Writer, WriteTransaction
from server.cache.invalidations import Invalidations
from server.tasks import Background

T = TypeVar("T")

_NOTHING_WRITTEN: Final = (
    AbortedError,
    AlreadyExistsError,
    InvalidRequestError,
    NoConnectionError,
    NotFoundError,
    PermissionDeniedError,
)
"""Errors that only a transaction which never began, or is rolled back, ends with."""


class CacheInvalidatingWriter:
    """Announces the revision of every write, replays included; the port is `domain.ports.Writer`.

    Writing and announcing run to their end even when the client leaves in between.
    """

    def __init__(
        self, writer: Writer, invalidations: Invalidations, background: Background
    ) -> None:
        self._writer = writer
        self._invalidations = invalidations
        self._background = background

    async def write(
        self,
        caller: Caller,
        key: RequestKey | None,
        answer: type[T],
        work: Callable[[WriteTransaction], Awaitable[T]],
    ) -> Written[T]:
        return await self._background.finish(self._write(caller, key, answer, work))

    async def _write(
        self,
        caller: Caller,
        key: RequestKey | None,
        answer: type[T],
        work: Callable[[WriteTransaction], Awaitable[T]],
    ) -> Written[T]:
        try:
            written = await self._writer.write(caller, key, answer, work)
        except _NOTHING_WRITTEN:
            raise
        except BaseException:
            self._invalidations.outcome_unknown(caller.merchant_id)
            raise
        await self._invalidations.committed(caller.merchant_id, written.current)
        return written
