"""Answers as bytes: what passes between the chain of interceptors and the cache."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

from domain.model.merchant import Revision


class Key(NamedTuple):
    """Who asks what; at one revision all equal keys have one answer."""

    merchant_id: UUID
    method: str
    """The path on the wire."""
    request: bytes


@dataclass(frozen=True, slots=True)
class Computed:
    """An answer as the handler gave it."""

    body: bytes
    revision: Revision
    """The merchant's revision that it reflects."""
    valid_until: float
    """When it becomes wrong by itself, in seconds since the epoch of Unix."""


@dataclass(frozen=True, slots=True)
class Question:
    """A key, and how it is answered where no answer is kept."""

    key: Key
    schema: bytes
    """A fingerprint of the answer's type, which another release may have changed."""
    lifetime: float
    """For how many seconds after the beginning of its computation an answer may be served."""
    compute: Callable[[], Awaitable[Computed]]


@dataclass(frozen=True, slots=True)
class Served:
    """An answer for a caller."""

    body: bytes
    trailers: tuple[tuple[str, str], ...]
    """What the client is told beside it."""


class Answers(Protocol):
    """Answers that are kept."""

    def find(self, key: Key, seen: Revision | None) -> Served | None:
        """Return the answer, if one is at hand that contains what the caller has seen."""

    async def get(self, question: Question, seen: Revision | None) -> Served:
        """Return an answer that contains what the caller has seen, from wherever it is to be had.

        Raises:
            FailedPreconditionError: The database has not what the caller claims to have seen.
            PatronError: As the computation.
        """
