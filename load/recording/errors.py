"""The texts of errors: each is kept once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from load.recording.columns import Numbers

MOST: Final = 10_000
"""How many different texts are kept: some servers never say the same twice."""
_DESCRIPTION: Final = " desc = "


class ErrorTexts:
    """Gives every text an index, whichever process has told of it."""

    def __init__(self) -> None:
        self._indexes: dict[str, int] = {}
        self._of_process: defaultdict[int, list[int]] = defaultdict(list)
        self.too_many = False
        """Whether there were more than are kept."""

    @property
    def texts(self) -> Sequence[str]:
        """The texts, by their index."""
        return list(self._indexes)

    def learn(self, process: int, texts: Iterable[str]) -> None:
        """Take texts that a process uses from now on."""
        self._of_process[process].extend(map(self._index, texts))

    def indexes(self, process: int, told: Numbers) -> Numbers:
        """Return the indexes of texts by those that a process has for them; -1 stays that."""
        return np.array([*self._of_process[process], -1], dtype=np.int64)[told]

    def _index(self, text: str) -> int:
        if text not in self._indexes and len(self._indexes) >= MOST:
            self.too_many = True
            text = f"{text.partition(_DESCRIPTION)[0]}{_DESCRIPTION}one of many more texts"
        return self._indexes.setdefault(text, len(self._indexes))
