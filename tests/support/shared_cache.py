"""The shared cache without Redis: what each of its operations does at one instant."""

from collections.abc import Callable
from uuid import UUID

from domain.model.merchant import Revision
from server.cache.channel import Announcement
from server.cache.shared import Found, Stored


class SimulatedSharedCache:
    """Does at once what Redis does in one step; the port is `server.cache.shared.SharedCache`."""

    def __init__(self, clock: Callable[[], float], publish: Callable[[Announcement], None]) -> None:
        self._clock = clock
        self._publish = publish
        self._revisions: dict[tuple[UUID, str], int] = {}
        self._stored: dict[tuple[UUID, bytes], Stored] = {}

    async def fetch(self, merchant_id: UUID, epoch: str, name: bytes) -> Found:
        stored = self._stored.get((merchant_id, name))
        if stored is not None and stored.expires_at <= self._clock():
            stored = None
        return Found(self._revisions.get((merchant_id, epoch)), stored)

    async def fill(self, merchant_id: UUID, epoch: str, name: bytes, stored: Stored) -> int:
        known = self._revisions.get((merchant_id, epoch), -1)
        if known > stored.revision:
            return known
        self._revisions[merchant_id, epoch] = stored.revision
        self._stored[merchant_id, name] = stored
        return stored.revision

    async def announce(self, merchant_id: UUID, revision: Revision, committed_at: float) -> None:
        known = self._revisions.get((merchant_id, revision.epoch), -1)
        self._revisions[merchant_id, revision.epoch] = max(known, revision.number)
        self._publish(Announcement(merchant_id, revision, committed_at))

    def known(self, merchant_id: UUID, epoch: str) -> int:
        """Return the number of the highest revision that is known; 0: of none."""
        return self._revisions.get((merchant_id, epoch), 0)

    def flush(self) -> None:
        """Lose everything."""
        self._revisions.clear()
        self._stored.clear()
