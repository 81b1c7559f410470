"""What a process has to tell: its calls, a chunk at a time."""

import time
from typing import Final

from load.engine.outcomes import Outcome
from load.records import Chunk

_MOST_TEXTS: Final = 1000
"""How many different errors, or values of a trailer, are told apart: memory has to stay flat."""
_ANY_OTHER: Final = "any other"


class Ledger:
    """The calls that have ended since the last chunk, in columns.

    Moments are nanoseconds of the monotonic clock, which all processes of a machine share.
    """

    def __init__(self) -> None:
        self._chunk = Chunk()
        self._errors: dict[str, int] = {"": -1}
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
        chunk = self._chunk
        chunk.ended.append(self._epoch + ended)
        chunk.service.append(ended - begun)
        chunk.response.append(ended - min(meant, begun))
        chunk.call.append(call)
        chunk.status.append(outcome.status)
        error = self._errors.get(outcome.error)
        chunk.error.append(self._new_error(outcome.error) if error is None else error)
        self.last = ended

    def _new_error(self, text: str) -> int:
        if len(self._errors) > _MOST_TEXTS:
            text = text.partition(" desc = ")[0] + f" desc = {_ANY_OTHER}"
        known = self._errors.get(text)
        if known is not None:
            return known
        index = len(self._errors) - 1
        self._errors[text] = index
        self._chunk.new_errors.append(text)
        return index

    def count_trailer(self, call: int, name: str, value: str) -> None:
        """Count that a call ended with a trailer."""
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
        if not self._chunk.ended:
            return None
        chunk, self._chunk = self._chunk, Chunk()
        chunk.trailers, self._trailers = self._trailers, {}
        return chunk
