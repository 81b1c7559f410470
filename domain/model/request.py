"""What makes a repeated write harmless."""

from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from domain.model.merchant import Revision

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Identifies one write request of a merchant."""

    id: UUID
    method: str
    digest: bytes
    """A keyed hash of what is asked for; another request has another one."""


@dataclass(frozen=True, slots=True)
class Written(Generic[T_co]):
    """The answer to a write."""

    value: T_co
    revision: Revision
    """The merchant's revision that contains the write; a part of the answer."""
    current: Revision
    """The merchant's revision now."""
    replayed: bool = False
    """Whether an earlier request with the same key got this answer first."""
