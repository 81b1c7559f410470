"""Which call comes when, where there are several."""

import math
import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

_LONGEST_BLOCK: Final = 10_000


class Mix:
    """The calls of a run in exact shares.

    Calls come in blocks; in each, every call has exactly its share. The order within a block is
    random, and the same in each run: in a fixed order, the same call would fall on the same rows of
    the data again and again.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self._block = _block(weights)
        self._number = -1
        self._order = self._block

    def choose(self, number: int) -> int:
        """Return the index of the call that has this number."""
        length = len(self._block)
        if length == 1:
            return self._block[0]
        block, place = divmod(number, length)
        if block != self._number:
            self._number = block
            self._order = list(self._block)
            random.Random(block).shuffle(self._order)  # noqa: S311 - nobody is to guess it
        return self._order[place]


def _block(weights: Sequence[float]) -> list[int]:
    total = sum(weights)
    shares = [Fraction(weight / total).limit_denominator(_LONGEST_BLOCK) for weight in weights]
    length = min(math.lcm(*(share.denominator for share in shares)), _LONGEST_BLOCK)
    # Where no block is long enough for all shares, they are rounded; the first gets what is left.
    counts = [round(share * length) for share in shares]
    counts[0] += length - sum(counts)
    return [index for index, count in enumerate(counts) for _ in range(count)]
