"""Which row, or which message of several, a call is given."""

import random
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from load.calls import Moment


class Choice(Protocol):
    """Chooses for each call. Can be pickled."""

    def __call__(self, moment: Moment, /) -> int:
        """Return an index."""


@dataclass(frozen=True, slots=True)
class ByNumber:
    """By the number of the call, as ghz does: the first call of a run gets the first one."""

    count: int

    def __call__(self, moment: Moment) -> int:
        """Return the number of the call, modulo how many there are."""
        return moment.number % self.count


class InTurn:
    """One after the other, in each process beginning somewhere else.

    Not by the number of the call: where a run makes several calls in a fixed order, each would
    get a part of the numbers, and so of the rows.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._next: int | None = None

    def __call__(self, _moment: Moment) -> int:
        """Return the one after the last one."""
        index = random.randrange(self._count) if self._next is None else self._next  # noqa: S311
        self._next = (index + 1) % self._count
        return index


@dataclass(frozen=True, slots=True)
class AtRandom:
    """Any, as likely as any other."""

    count: int

    def __call__(self, _moment: Moment) -> int:
        """Return a random index."""
        return int(random.random() * self.count)  # noqa: S311


class Order(Enum):
    """In which order the rows of a data file are used."""

    IN_TURN = "in turn"
    RANDOM = "random"

    def choice(self, count: int) -> Choice:
        """Return what chooses among so many."""
        return InTurn(count) if self is Order.IN_TURN else AtRandom(count)
