"""The first calls to end, which are not counted."""

import numpy as np

from load.recording.columns import Columns

_TOLD_WITHIN = 1_000_000_000
"""After how long every process has told of a call: they do it several times a second."""


class Skipping:
    """Holds calls back until it is certain which of all processes' calls were the first."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._held: list[Columns] = []
        self._newest = 0
        self._looked_at = 0

    def add(self, calls: Columns) -> Columns | None:
        """Take calls, and return those that are to be counted by now, if any."""
        if not self._left:
            return calls
        self._held.append(calls)
        self._newest = max(self._newest, int(calls.ended.max()))
        # Sorting all that is held for each part would take ever longer.
        if self._newest - self._looked_at < _TOLD_WITHIN:
            return None
        self._looked_at = self._newest
        if sum(map(len, self._held)) <= self._left:
            return None
        held = self._sorted()
        if self._newest - int(held.ended[self._left - 1]) < _TOLD_WITHIN:
            return None
        return self._release(held)

    def rest(self) -> Columns | None:
        """Return what is to be counted of what is still held back: nothing more will come."""
        return self._release(self._sorted()) if self._held else None

    def _sorted(self) -> Columns:
        held = Columns.together(self._held)
        return held.chosen(np.argsort(held.ended, kind="stable"))

    def _release(self, held: Columns) -> Columns | None:
        counted = held.chosen(slice(self._left, None))
        self._left = 0
        self._held.clear()
        return counted if len(counted) else None
