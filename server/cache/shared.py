"""The second tier, as the rules of caching see it."""

import struct
from dataclasses import dataclass
from typing import Final, Protocol, Self
from uuid import UUID

from domain.model.merchant import Revision

_HEAD: Final = struct.Struct("<Qdd")


class SharedCacheUnavailable(Exception):
    """The shared cache does not answer; everything works without it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer in the shared cache."""

    body: bytes
    revision: int
    """The number of the merchant's revision that it reflects."""
    expires_at: float
    """When it is no longer served, in seconds since the epoch of Unix."""
    effort: float
    """How many seconds it took to compute."""

    def pack(self) -> bytes:
        """Return the answer as bytes."""
        return _HEAD.pack(self.revision, self.expires_at, self.effort) + self.body

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return the answer that `pack` made bytes of; raises ValueError for any others."""
        try:
            revision, expires_at, effort = _HEAD.unpack_from(packed)
        except struct.error as error:
            raise ValueError("not an answer") from error
        return cls(packed[_HEAD.size :], revision, expires_at, effort)


@dataclass(frozen=True, slots=True)
class Found:
    """What the shared cache knows at one instant."""

    revision: int | None
    """The number of the highest revision that it was told of; None: of none lately."""
    stored: Stored | None


class SharedCache(Protocol):
    """Answers for all workers. Every method raises SharedCacheUnavailable, within a short time."""

    async def fetch(self, merchant_id: UUID, epoch: str, name: bytes) -> Found:
        """Return an answer together with the merchant's revision, read at the same instant."""

    async def fill(self, merchant_id: UUID, epoch: str, name: bytes, stored: Stored) -> int:
        """Store an answer unless a higher revision is known, at once with that comparison.

        Returns the number of the highest revision known afterwards: above that of the answer, the
        answer was refused.
        """

    async def announce(self, merchant_id: UUID, revision: Revision, committed_at: float) -> None:
        """Make a revision known to the cache and to all workers, at once.

        Args:
            merchant_id: Whose revision it is.
            revision: The revision; a lower one than is known changes nothing.
            committed_at: When it was seen committed, in seconds since the epoch of Unix.
        """
