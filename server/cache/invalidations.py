"""Telling everybody of a write, whatever happens to Redis meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final
from uuid import UUID

import structlog

from domain.model.merchant import Revision
from server.cache.responses import ResponseCache
from server.cache.shared import SharedCache
from server.logs import Condition

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
        self._to_announce = asyncio.Event()
        self._to_find_out = asyncio.Event()
        self._announcing = Condition(
            _log, fails="revisions cannot be announced", works="revisions are announced again"
        )
        self._finding_out = Condition(
            _log, fails="a revision cannot be read", works="revisions are read again"
        )

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
        self._to_find_out.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work off what waits for as long as the body runs, and once more, in short, after it."""
        working = [
            asyncio.create_task(_whenever(self._to_announce, self._announce_all)),
            asyncio.create_task(_whenever(self._to_find_out, self._find_out_all)),
        ]
        try:
            yield
        finally:
            for each in working:
                each.cancel()
            await asyncio.wait(working)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await self.work_off()

    async def work_off(self) -> None:
        """Try once to announce everything that waits.

        To look revisions up may take long; what can be announced does not wait for that.
        """
        await asyncio.gather(self._announce_all(), self._find_out_all())

    async def _announce_all(self) -> None:
        for merchant_id in list(self._waiting):
            await self._announce(merchant_id)

    async def _find_out_all(self) -> None:
        for merchant_id in list(self._unknown):
            await self._find_out(merchant_id)

    async def _find_out(self, merchant_id: UUID) -> None:
        # Another outcome that gets unknown while the revision is read has it read again.
        self._unknown.discard(merchant_id)
        try:
            revision = await self._read_revision(merchant_id)
            if revision is not None:
                await self.committed(merchant_id, revision)
        except BaseException as error:
            self.outcome_unknown(merchant_id)
            if not isinstance(error, Exception):
                raise
            self._finding_out.failed(error)
            return
        if not self._unknown:
            self._finding_out.worked()

    async def _announce(self, merchant_id: UUID) -> None:
        waiting = self._waiting.get(merchant_id)
        if waiting is None:
            return
        revision, committed_at = waiting
        try:
            await self._shared.announce(merchant_id, revision, committed_at)
        except Exception as error:  # noqa: BLE001 - the write is committed: nothing may fail it now
            self._to_announce.set()
            self._announcing.failed(error)
            return
        self.sent += 1
        if self._waiting.get(merchant_id) == waiting:
            del self._waiting[merchant_id]
        if not self._waiting:
            self._announcing.worked()


async def _whenever(asked: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work whenever it is asked for, with a pause before it is repeated."""
    working = Condition(_log, fails="invalidations fail", works="invalidations go on")
    while True:
        await asked.wait()
        asked.clear()
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - nobody would notice that the work has ended
            working.failed(error)
            asked.set()
        else:
            working.worked()
        if asked.is_set():
            await asyncio.sleep(_RETRY_AFTER)
