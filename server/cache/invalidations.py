"""Telling everybody of a write, whatever happens to Redis meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final
from uuid import UUID

import structlog

from domain.errors import PatronError
from domain.model.merchant import Revision
from server.cache.responses import ResponseCache
from server.cache.shared import SharedCache, SharedCacheUnavailable
from server.logs import describe_exception

_RETRY_AFTER: Final = 0.1
_LAST_SECONDS: Final = 3.0
"""For how long the end of a worker is put off by what could not be announced."""

ReadRevision = Callable[[UUID], Awaitable[Revision | None]]
"""Reads a merchant's revision from the database when no write of the merchant is undecided.

None: there is no such merchant.
"""

_log = structlog.get_logger()


class Invalidations:
    """Announces revisions: at once, and until Redis has answered.

    Of one merchant only the highest revision is kept waiting, so the queue is no longer than the
    merchants are many.
    """

    def __init__(
        self,
        responses: ResponseCache,
        shared: SharedCache,
        read_revision: ReadRevision,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.sent = 0
        """How many revisions were announced."""
        self._responses = responses
        self._shared = shared
        self._read_revision = read_revision
        self._clock = clock
        self._waiting: dict[UUID, tuple[Revision, float]] = {}
        self._unknown: set[UUID] = set()
        self._work = asyncio.Event()

    @property
    def pending(self) -> int:
        """How many merchants' writes are not announced yet."""
        return len(self._waiting) + len(self._unknown)

    async def committed(self, merchant_id: UUID, revision: Revision) -> None:
        """Announce a revision that the database has told; what fails is tried again later."""
        self._responses.learn(merchant_id, revision)
        waiting = self._waiting.get(merchant_id)
        if waiting is None or not waiting[0].contains(revision):
            self._waiting[merchant_id] = revision, self._clock()
        await self._announce(merchant_id)

    def outcome_unknown(self, merchant_id: UUID) -> None:
        """Have the merchant's revision read again and announced: perhaps a write was committed."""
        self._unknown.add(merchant_id)
        self._work.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work off what waits for as long as the body runs, and once more, in short, after it."""
        working = asyncio.create_task(self._work_for_ever())
        try:
            yield
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await self.work_off()

    async def work_off(self) -> None:
        """Try once to announce everything that waits."""
        for merchant_id in list(self._waiting):
            await self._announce(merchant_id)
        for merchant_id in list(self._unknown):
            await self._find_out(merchant_id)

    async def _work_for_ever(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            await self.work_off()
            if self.pending:
                await asyncio.sleep(_RETRY_AFTER)
                self._work.set()

    async def _find_out(self, merchant_id: UUID) -> None:
        # Another outcome that gets unknown while the revision is read has it read again.
        self._unknown.discard(merchant_id)
        try:
            revision = await self._read_revision(merchant_id)
        except BaseException as error:
            self._unknown.add(merchant_id)
            if isinstance(error, PatronError):
                return
            if not isinstance(error, Exception):
                raise
            _log.error("a revision cannot be read", error=describe_exception(error))
        else:
            if revision is not None:
                await self.committed(merchant_id, revision)

    async def _announce(self, merchant_id: UUID) -> None:
        waiting = self._waiting.get(merchant_id)
        if waiting is None:
            return
        revision, committed_at = waiting
        try:
            await self._shared.announce(merchant_id, revision, committed_at)
        except SharedCacheUnavailable:
            self._work.set()
            return
        self.sent += 1
        if self._waiting.get(merchant_id) == waiting:
            del self._waiting[merchant_id]
