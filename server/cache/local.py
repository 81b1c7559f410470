"""The first tier: answers in the memory of one worker."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from server.answers import Key, Question, Served

_OVERHEAD: Final = 1000
"""About how many bytes an entry takes beside its request and its body."""
_MERCHANTS: Final = 20_000
"""Of how many merchants, the last used ones, the worker remembers what it has heard."""


class Heard:
    """What the worker has heard of one merchant."""

    __slots__ = ("revision",)

    def __init__(self) -> None:
        self.revision = 0
        """The number of the highest revision; an answer below it is stale."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer in memory."""

    question: Question
    served: Served
    revision: int
    heard: Heard
    effort: float
    """How many seconds it took to compute."""
    refresh_from: float
    """From when on the answer may be refreshed before its time, by the clock of the cache."""
    expires: float

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.question.key.request) + len(self.served.body) + _OVERHEAD


class LocalCache:
    """A bounded map of answers, the least recently used ones dropped first.

    It is closed while the worker cannot hear of writes: then nothing is found and nothing is kept.
    """

    def __init__(self, *, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Make an empty, closed cache.

        Args:
            capacity: How many bytes the answers may take.
            clock: Tells the seconds by which answers expire.
        """
        self.clock = clock
        self.size = 0
        """How many bytes the answers take."""
        self.is_open = False
        self.period = 0
        """Counts the subscriptions: what was read in one period is not kept in the next."""
        self._capacity = capacity
        self._entries: OrderedDict[Key, Kept] = OrderedDict()
        self._heard: OrderedDict[UUID, Heard] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def open(self) -> None:
        """Begin a period in which the worker hears of every write."""
        self.close()
        self.is_open = True
        self.period += 1

    def close(self) -> None:
        """End the period: the worker may miss writes from now on."""
        self.is_open = False
        self._entries.clear()
        self.size = 0

    def begin_anew(self) -> None:
        """Forget everything: revisions count from elsewhere now."""
        self._heard.clear()
        if self.is_open:
            self.open()

    def heard_of(self, merchant_id: UUID) -> Heard:
        """Return what was heard of a merchant: the same object for as long as it is remembered."""
        heard = self._heard.get(merchant_id)
        if heard is None:
            heard = self._heard[merchant_id] = Heard()
            if len(self._heard) > _MERCHANTS:
                # Its entries are never found again: they belong to a record that is not current.
                self._heard.popitem(last=False)[1].revision = 2**63
        else:
            self._heard.move_to_end(merchant_id)
        return heard

    def hear(self, merchant_id: UUID, revision: int) -> None:
        """Remember that the merchant has reached a revision."""
        heard = self.heard_of(merchant_id)
        heard.revision = max(heard.revision, revision)

    def find(self, key: Key, now: float) -> Kept | None:
        """Return the answer, unless it has expired or something newer was heard of."""
        kept = self._entries.get(key)
        if kept is None:
            return None
        if kept.revision < kept.heard.revision or kept.expires <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return kept

    def keep(self, kept: Kept, period: int) -> None:
        """Keep an answer that was read in the period, unless it is stale already."""
        key = kept.question.key
        if not self.is_open or period != self.period or kept.revision < kept.heard.revision:
            return
        if key in self._entries:
            self._drop(key)
        self._entries[key] = kept
        self.size += kept.size
        while self.size > self._capacity:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        self.size -= self._entries.pop(key).size
