"""The first calls of a run one by one, as ghz keeps them."""

from collections.abc import Iterator, Sequence
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from load.recording.columns import Columns, Numbers
from load.records import STATUSES
from load.report.go_text import instant
from load.report.model import Detail

MOST: Final = 1_000_000
"""As many as ghz keeps."""
_PIECE: Final = 10_000
_TYPE: Final = np.dtype(
    [("ended", np.int64), ("service", np.int64), ("error", np.int32), ("status", np.int8)]
)
"""21 bytes for each call; the names are those of the columns."""


class Details(Sequence[Detail]):
    """Calls in the order in which they ended, each made anew whenever it is asked for."""

    def __init__(self, rows: NDArray[np.void], texts: Sequence[str]) -> None:
        self._rows = rows
        self._texts = texts

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Detail: ...
    @overload
    def __getitem__(self, index: slice) -> "Details": ...
    def __getitem__(self, index: int | slice) -> "Detail | Details":
        if isinstance(index, slice):
            return Details(self._rows[index], self._texts)
        return self._detail(*self._rows[index].item())

    def __iter__(self) -> Iterator[Detail]:
        for begin in range(0, len(self), _PIECE):
            for row in self._rows[begin : begin + _PIECE].tolist():
                yield self._detail(*row)

    def _detail(self, ended: int, service: int, error: int, status: int) -> Detail:
        text = self._texts[error] if error >= 0 else ""
        return Detail(instant(ended), service, text, STATUSES[status])

    def durations(self, *, with_errors: bool) -> Numbers:
        """Return how long the calls took, shortest first, in nanoseconds."""
        durations = self._rows["service"]
        kept = durations if with_errors else durations[self._rows["error"] < 0]
        return np.sort(kept)


class DetailKeeper:
    """Keeps the first million calls that it is given."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.void]] = []
        self._room = MOST

    def add(self, calls: Columns) -> None:
        """Keep calls, as long as there is room."""
        count = min(len(calls), self._room)
        if not count:
            return
        rows = np.empty(count, dtype=_TYPE)
        for name in _TYPE.names or ():
            rows[name] = getattr(calls, name)[:count]
        self._rows.append(rows)
        self._room -= count

    def kept(self, texts: Sequence[str]) -> Details:
        """Return the calls; their errors are indexes of these texts."""
        rows = np.concatenate([np.empty(0, dtype=_TYPE), *self._rows])
        # Processes tell of their calls in turn.
        return Details(rows[np.argsort(rows["ended"], kind="stable")], texts)
