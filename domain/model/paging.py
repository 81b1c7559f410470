"""Lists in pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Cursor = tuple[int | date | datetime | UUID, ...]
"""The sort key of the last item of a page."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """Some consecutive items of a list."""

    items: tuple[T_co, ...]
    next: Cursor | None
    """Where the next page begins; None at the end of the list."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Asks for the page of at most `size` items that comes after a cursor."""

    size: int
    after: Cursor | None

    def cut(self, found: Sequence[T], key: Callable[[T], Cursor]) -> Page[T]:
        """Return the page of what was found; one item too many says that there is a next page."""
        items = tuple(found[: self.size])
        return Page(items, key(items[-1]) if len(found) > self.size else None)


def page_size(requested: int, *, default: int, maximum: int) -> int:
    """Return how many items a page gets, by AIP-158: 0 is the default, too many are lowered."""
    return min(requested or default, maximum)
