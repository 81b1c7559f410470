"""The texts of errors: each is kept once."""

from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from load.engine.outcomes import ENDED_BY_THE_RUN
from load.recording.columns import Numbers

CUT_OFF_INDEXES: Final = len(ENDED_BY_THE_RUN)
"""The indexes below it are those of calls in flight that the run itself ends."""
MOST: Final = 10_000
"""How many different texts are kept: some servers never say the same twice."""
_DESCRIPTION: Final = " desc = "


class ErrorTexts:
    """Gives every text an index, whichever process has told of it."""

    def __init__(self) -> None:
        self._indexes: dict[str, int] = {
            outcome.error: index for index, outcome in enumerate(ENDED_BY_THE_RUN)
        }
        self._of_process: defaultdict[int, array[int]] = defaultdict(lambda: array("i"))
        self.too_many = False
        """Whether there were more than are kept."""

    @property
    def texts(self) -> Sequence[str]:
        """The texts, by their index."""
        return list(self._indexes)

    def learn(self, process: int, texts: Sequence[str]) -> None:
        """Take texts that a process uses from now on."""
        if texts:
            self._of_process[process].extend(map(self._index, texts))

    def indexes(self, process: int, told: Numbers) -> Numbers:
        """Return the indexes of texts by those that a process has for them; -1 stays that."""
        failed = told >= 0
        if not failed.any():
            return told
        indexes = told.copy()
        known = self._of_process[process]
        # One by one: there can be many more texts than calls.
        indexes[failed] = [known[index] for index in told[failed].tolist()]
        return indexes

    def _index(self, text: str) -> int:
        # Those of calls that were cut off come on top.
        if text not in self._indexes and len(self._indexes) >= MOST + CUT_OFF_INDEXES:
            self.too_many = True
            text = f"{text.partition(_DESCRIPTION)[0]}{_DESCRIPTION}any other"
        return self._indexes.setdefault(text, len(self._indexes))
