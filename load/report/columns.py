"""Text in columns."""

from collections.abc import Iterable
from itertools import groupby
from typing import Final

_GAP: Final = 3


def aligned(lines: Iterable[str]) -> str:
    """Return lines whose cells, each ended by a tab, stand below each other.

    A column reaches over those lines that follow each other and have a cell in it, and is three
    wider than its widest cell. What follows the last tab of a line belongs to no column. Whatever
    the texts hold, it comes out as it does from Go's `text/tabwriter`, which ghz uses.
    """
    # There, a form feed ends a line and all columns, and a vertical tab is a tab.
    return "\n".join(map(_aligned, "".join(lines).replace("\v", "\t").split("\f")))


def _aligned(text: str) -> str:
    rows = [line.split("\t") for line in text.split("\n")]
    for column in range(max(map(len, rows)) - 1):
        for has_cell, group in groupby(rows, lambda row: len(row) > column + 1):  # noqa: B023 - used at once.
            if has_cell:
                block = list(group)
                width = max(len(row[column]) for row in block) + _GAP
                for row in block:
                    row[column] = row[column].ljust(width)
    return "\n".join(map("".join, rows))
