"""Rows of data files, which templates use as `.Row`."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from load.data.inputs import read_json
from load.errors import DataError


class Row(dict[str, Any]):
    """A row, by column: what it hasn't is an error, and not empty."""

    def get(self, column: str, _default: Any = None) -> Any:  # noqa: ANN401
        """Return what is in a column; `hasKey` tells templates whether there is one.

        Raises:
            DataError: There is no such column.
        """
        if column not in self:
            raise DataError(f"a row has no column {column!r}; there is {', '.join(self)}")
        return self[column]


def read_rows(path: Path) -> Sequence[Row]:
    """Return the rows of a file, at least one.

    A `.csv` has a header, and only texts; a `.json` is an array of objects, and a `.jsonl` or
    `.ndjson` has an object in each line.

    Raises:
        DataError: It cannot be read, or isn't of this form; the text says in which line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not in UTF-8") from None
    readers = {".csv": _csv, ".json": _array, ".jsonl": _lines, ".ndjson": _lines}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: must end with one of {', '.join(readers)}")
    try:
        rows = [Row(each) for each in reader(text)]
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    if not rows:
        raise DataError(f"{path}: has no rows")
    return rows


def _csv(text: str) -> Iterator[Mapping[str, Any]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header) or not all(header):
            raise DataError("line 1: every column needs a name of its own")
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise DataError(
                    f"line {reader.line_num}: has {len(row)} fields, and the header {len(header)}"
                )
            yield dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise DataError(f"line {reader.line_num}: {error}") from None


def _array(text: str) -> Iterator[Mapping[str, Any]]:
    found = read_json(text)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise DataError("is no JSON array of objects")
    yield from found


def _lines(text: str) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = read_json(line)
        except DataError as error:
            raise DataError(f"line {number}: {error}") from None
        if not isinstance(found, dict):
            raise DataError(f"line {number}: is no JSON object")
        yield found
