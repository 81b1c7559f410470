"""Calls as columns of numbers: one call costs next to nothing when many are handled at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]
Chosen: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """Calls, one element of each column; see `load.records.Chunk`."""

    ended: Numbers
    service: Numbers
    response: Numbers
    call: Numbers
    status: Numbers
    error: Numbers
    """The index of the text among those of all processes; -1: none."""

    def __len__(self) -> int:
        return len(self.ended)

    def chosen(self, which: Chosen | Numbers | slice) -> Self:
        """Return some of the calls."""
        return type(self)(*(column[which] for column in self.all()))

    def all(self) -> Iterable[Numbers]:
        """Return the columns, in their order."""
        return (self.ended, self.service, self.response, self.call, self.status, self.error)

    @classmethod
    def together(cls, parts: Iterable[Self]) -> Self:
        """Return the calls of all parts, one part after the other; there is at least one."""
        return cls(*map(np.concatenate, zip(*(part.all() for part in parts), strict=True)))
