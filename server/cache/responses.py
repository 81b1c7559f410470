"""The rules of caching: which answer may be served to whom, and what is kept.

An answer is served only if it is not older than what Redis knows, what this worker has heard, and
what the caller has seen. It never lives longer than its method says, counted from the beginning of
its read, nor beyond the merchant's day.
"""

import asyncio
import hashlib
import math
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from domain.errors import PatronError, revision_unknown
from domain.model.merchant import Revision
from server.answers import Key, Question, Served
from server.cache.channel import Announcement
from server.cache.local import Heard, Kept, LocalCache
from server.cache.shared import SharedCache, SharedCacheUnavailable, Stored
from server.logs import describe_exception
from server.tasks import Background

_EARLY: Final = 10.0
"""How many times its effort before its end an answer may be refreshed at the earliest.

The probability of an earlier refresh would be under e⁻¹⁰.
"""

_log = structlog.get_logger()


@dataclass(slots=True)
class CacheCounts:
    """What the cache did since the start."""

    local_hits: int = 0
    local_misses: int = 0
    shared_hits: int = 0
    shared_misses: int = 0
    fills_stored: int = 0
    fills_refused: int = 0
    refreshes: int = 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    revision: Revision
    body: bytes
    hit: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Flight:
    """One computation, shared by all who ask meanwhile."""

    task: "asyncio.Task[_Outcome]"
    floor: int
    """The number of the revision that its answer reaches for certain."""
    claim: int
    """The number that it reaches if the caller who began it has seen what it says."""
    expires_at: float
    """When its answer would be too old, in seconds since the epoch of Unix."""


class ResponseCache:
    """Answers in two tiers."""

    def __init__(
        self,
        local: LocalCache,
        shared: SharedCache,
        background: Background,
        *,
        local_lifetime: float,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Make the cache; it keeps nothing in memory before it is told that it hears of writes.

        Args:
            local: The answers in memory.
            shared: The answers in Redis.
            background: Where computations run, so that no client can end them.
            local_lifetime: For how many seconds at most an answer stays in memory.
            clock: Tells the seconds since the epoch of Unix.
            chance: Returns a random number from 0 up to 1, 1 excluded.
        """
        self.counts = CacheCounts()
        self.local = local
        self._shared = shared
        self._background = background
        self._local_lifetime = local_lifetime
        self._clock = clock
        self._chance = chance
        self._epoch: str | None = None
        self._flights: dict[Key, _Flight] = {}

    def find(self, key: Key, seen: Revision | None) -> Served | None:
        """Return the answer from memory, if there is one that contains what the caller has seen."""
        now = self.local.clock()
        kept = self.local.find(key, now)
        if kept is None or not (seen is None or self._reaches(kept.revision, seen)):
            self.counts.local_misses += 1
            return None
        self.counts.local_hits += 1
        if kept.refresh_from <= now and key not in self._flights and self._is_due(kept, now):
            self._refresh(kept.question)
        return kept.served

    async def get(self, question: Question, seen: Revision | None) -> Served:
        """Return the answer from Redis, or from a computation that the caller may share.

        Raises:
            FailedPreconditionError: The caller has seen a revision that the database has not.
            PatronError: As the computation.
        """
        flight = self._joinable(question.key, seen)
        if flight is not None:
            outcome = await self._background.join(flight.task)
            if seen is None or outcome.revision.contains(seen):
                return _served(outcome)
            # What has begun meanwhile has read later than this caller asked: it decides.
            flight = self._joinable(question.key, seen)
        flight = flight or self._begin(question, seen)
        outcome = await self._background.join(flight.task)
        if seen is not None and not outcome.revision.contains(seen):
            raise revision_unknown()
        return _served(outcome)

    def hear(self, announcement: Announcement) -> None:
        """Take notice of a revision: older answers of the merchant are not served any more."""
        if announcement.revision.epoch == self._epoch:
            self.local.hear(announcement.merchant_id, announcement.revision.number)
        elif self._epoch is not None:
            # Only the database can tell which of the two epochs is over.
            self._adopt(None)

    def learn(self, merchant_id: UUID, revision: Revision) -> None:
        """Take notice of a revision that the database itself has just told."""
        if revision.epoch != self._epoch:
            self._adopt(revision.epoch)
        self.local.hear(merchant_id, revision.number)

    def _adopt(self, epoch: str | None) -> None:
        if self._epoch is not None:
            # Nobody joins a flight that may bring what the epoch before knew.
            self._flights.clear()
        self._epoch = epoch
        self.local.begin_anew()

    def _is_due(self, kept: Kept, now: float) -> bool:
        """Return whether this call should have the answer computed again before it ends.

        The nearer the end and the greater the effort, the more likely: of many callers one does it,
        and none waits. Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede
        Prevention", 2015 (XFetch, β = 1).
        """
        ends = kept.refresh_from + _EARLY * kept.effort
        return -kept.effort * math.log(1.0 - self._chance()) >= ends - now

    def _refresh(self, question: Question) -> None:
        """Begin to compute the answer again; waits for nothing."""
        self.counts.refreshes += 1
        self._fly(question, self._compute(question))

    def _reaches(self, revision: int, seen: Revision) -> bool:
        return seen.epoch == self._epoch and seen.number <= revision

    def _joinable(self, key: Key, seen: Revision | None) -> _Flight | None:
        """Return the flight, if there is one that began after everything the caller knows of."""
        flight = self._flights.get(key)
        if (
            flight is not None
            and not flight.task.done()
            and flight.floor >= self.local.heard_of(key.merchant_id).revision
            and (seen is None or self._reaches(max(flight.floor, flight.claim), seen))
            and flight.expires_at > self._clock()
        ):
            return flight
        return None

    def _begin(self, question: Question, seen: Revision | None) -> _Flight:
        claim = 0 if seen is None else seen.number
        if seen is None or seen.epoch == self._epoch:
            return self._fly(question, self._look_up(question, claim), claim)
        return self._fly(question, self._compute(question), claim)

    def _fly(
        self, question: Question, work: Coroutine[None, None, _Outcome], claim: int = 0
    ) -> _Flight:
        key = question.key
        flight = self._flights[key] = _Flight(
            self._background.start(work),
            floor=self.local.heard_of(key.merchant_id).revision,
            claim=claim,
            expires_at=self._clock() + question.lifetime,
        )
        flight.task.add_done_callback(lambda _: self._land(key, flight))
        return flight

    def _land(self, key: Key, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if self._background.is_joined(flight.task) or flight.task.cancelled():
            return
        error = flight.task.exception()
        if error is not None and not isinstance(error, PatronError):
            _log.error("an answer that nobody waits for failed", error=describe_exception(error))

    async def _look_up(self, question: Question, seen: int) -> _Outcome:
        key, epoch, period = question.key, self._epoch, self.local.period
        heard = self.local.heard_of(key.merchant_id)
        if epoch is None:
            return await self._compute(question)
        try:
            found = await self._shared.fetch(key.merchant_id, epoch, _name(question, epoch))
        except SharedCacheUnavailable:
            return await self._compute(question)
        stored = found.stored
        if (
            stored is None
            or found.revision is None
            or stored.revision < max(found.revision, seen, heard.revision)
            or stored.expires_at <= self._clock()
            or epoch != self._epoch
        ):
            self.counts.shared_misses += 1
            return await self._compute(question)
        self.counts.shared_hits += 1
        kept = self._keep(question, stored, epoch, heard, period)
        if self._is_due(kept, self.local.clock()):
            self._refresh(question)
        return _Outcome(Revision(epoch, stored.revision), stored.body, hit=True)

    async def _compute(self, question: Question) -> _Outcome:
        key, period, begun = question.key, self.local.period, self._clock()
        heard = self.local.heard_of(key.merchant_id)
        computed = await question.compute()
        if computed.revision.epoch != self._epoch:
            # What was announced meanwhile was not understood, so nothing of before is kept.
            self._adopt(computed.revision.epoch)
        now = self._clock()
        stored = Stored(
            computed.body,
            computed.revision.number,
            min(begun + question.lifetime, computed.valid_until),
            now - begun,
        )
        if stored.expires_at > now:
            self._keep(question, stored, computed.revision.epoch, heard, period)
            self._background.spawn(self._fill(question, computed.revision.epoch, stored))
        return _Outcome(computed.revision, computed.body, hit=False)

    async def _fill(self, question: Question, epoch: str, stored: Stored) -> None:
        merchant_id = question.key.merchant_id
        try:
            known = await self._shared.fill(merchant_id, epoch, _name(question, epoch), stored)
        except SharedCacheUnavailable:
            return
        if known > stored.revision:
            self.counts.fills_refused += 1
            if epoch == self._epoch:
                self.local.hear(merchant_id, known)
        else:
            self.counts.fills_stored += 1

    def _keep(
        self, question: Question, stored: Stored, epoch: str, heard: Heard, period: int
    ) -> Kept:
        remaining = stored.expires_at - self._clock()
        now = self.local.clock()
        kept = Kept(
            question=question,
            served=Served(stored.body, _trailers(Revision(epoch, stored.revision), hit=True)),
            revision=stored.revision,
            heard=heard,
            effort=stored.effort,
            refresh_from=now + remaining - _EARLY * stored.effort,
            expires=now + min(remaining, self._local_lifetime),
        )
        self.local.keep(kept, period)
        return kept


def _trailers(revision: Revision, *, hit: bool) -> tuple[tuple[str, str], ...]:
    """Return what is said beside an answer."""
    return ("patron-cache", "hit" if hit else "miss"), ("patron-revision", str(revision))


def _served(outcome: _Outcome) -> Served:
    return Served(outcome.body, _trailers(outcome.revision, hit=outcome.hit))


def _name(question: Question, epoch: str) -> bytes:
    """Return the name of the answer in the shared cache, among those of its merchant."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (
        epoch.encode(),
        question.key.method.encode(),
        question.schema,
        question.key.request,
    ):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest().encode()
