"""What a process has to tell: its calls, a chunk at a time."""

import time
from array import array
from struct import Struct
from typing import Final

from load.engine.outcomes import Outcome
from load.records import Chunk

_MOST_TEXTS: Final = 1000
"""How many different errors, or values of a trailer, are told apart: memory has to stay flat."""
_ANY_OTHER: Final = "any other"
_COLUMNS: Final = 6
_row: Final = Struct(f"{_COLUMNS}q").pack
"""Makes a row of the columns of a chunk, in their order."""


class Ledger:
    """The calls that have ended since the last chunk.

    One row after the other is the least work while calls are made: it is done for each of them.

    Moments are nanoseconds of the monotonic clock, which all processes of a machine share.
    """

    def __init__(self) -> None:
        self._rows = bytearray()
        self._errors: dict[str, int] = {}
        self._new_errors: list[str] = []
        self._trailers: dict[tuple[int, str, str], int] = {}
        self._values: dict[tuple[int, str], set[str]] = {}
        self._epoch = time.time_ns() - time.monotonic_ns()
        self.messages_sent = 0
        self.messages_received = 0
        self.last = 0
        """When the last call ended; 0: none has."""

    def enter(self, call: int, meant: int, begun: int, ended: int, outcome: Outcome) -> None:
        """Enter a call that has ended.

        A timer is exact to a millisecond: what began before it was meant to has both clocks the
        same.
        """
        status, error, sent, received, trailers = outcome
        response = ended - (meant if meant < begun else begun)  # noqa: FURB136 - a call less
        index = self._index_of(error) if error else -1
        self._rows += _row(self._epoch + ended, ended - begun, response, call, status, index)
        self.last = ended
        self.messages_sent += sent
        self.messages_received += received
        for name, value in trailers:
            self._count(call, name, value)

    def _index_of(self, text: str) -> int:
        index = self._errors.get(text)
        if index is None and len(self._errors) >= _MOST_TEXTS:
            text = text.partition(" desc = ")[0] + f" desc = {_ANY_OTHER}"
            index = self._errors.get(text)
        if index is None:
            index = self._errors[text] = len(self._errors)
            self._new_errors.append(text)
        return index

    def _count(self, call: int, name: str, value: str) -> None:
        values = self._values.setdefault((call, name), set())
        if value not in values:
            if len(values) < _MOST_TEXTS:
                values.add(value)
            else:
                value = _ANY_OTHER
        key = call, name, value
        self._trailers[key] = self._trailers.get(key, 0) + 1

    def tear_off(self) -> Chunk | None:
        """Return the calls since the last time, None if there are none."""
        if not self._rows:
            return None
        numbers = array("q", self._rows)
        ended, service, response, call, status, error = (
            numbers[column::_COLUMNS] for column in range(_COLUMNS)
        )
        chunk = Chunk(
            ended, service, response, call, status, error, self._new_errors, self._trailers
        )
        self._rows, self._new_errors, self._trailers = bytearray(), [], {}
        return chunk
