"""Lists in pages."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, TypeVar
from uuid import UUID

T_co = TypeVar("T_co", covariant=True)

Cursor = tuple[int | date | datetime | UUID, ...]
"""The sort key of the last item of a page."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Asks for the page of at most `size` items that comes after a cursor."""

    size: int
    after: Cursor | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """Some consecutive items of a list."""

    items: tuple[T_co, ...]
    next: Cursor | None
    """Where the next page begins; None at the end of the list."""


def page_size(requested: int, *, default: int, maximum: int) -> int:
    """Return how many items a page gets, by AIP-158: 0 is the default, too many are lowered."""
    return min(requested or default, maximum)
