"""Tables of a document, read key by key."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from load.config.durations import parse_duration
from load.errors import ConfigError

_Value = TypeVar("_Value")
_Default = TypeVar("_Default")
_SECOND: Final = 1_000_000_000


class Table:
    """A table whose errors tell where they are."""

    def __init__(self, content: Mapping[str, Any], path: str, where: str = "") -> None:
        """Read a table.

        Args:
            content: What is in it.
            path: Of the file.
            where: The key that has the table; empty: it is the whole document.
        """
        self._content = content
        self._path = path
        self._where = where

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def take(self, key: str, read: Callable[[Any], _Value], default: _Default) -> _Value | _Default:
        """Return the value of a key, or the default where it is not there.

        Raises:
            ConfigError: It is not what `read` takes; the text names file and key.
        """
        return self._read(key, read) if key in self else default

    def demand(self, key: str, read: Callable[[Any], _Value], what: str) -> _Value:
        """Return the value of a key that has to be there.

        Raises:
            ConfigError: It is not, or not what `read` takes.
        """
        if key not in self:
            raise self.wrong(key, f"is missing: {what}")
        return self._read(key, read)

    def table(self, key: str) -> "Table":
        """Return the table that a key has; an empty one, where it is not there.

        Raises:
            ConfigError: It has something else.
        """
        content = self.take(key, _mapping, dict[str, Any]())
        return Table(content, self._path, self._place(key))

    def tables(self, key: str) -> Mapping[str, "Table"]:
        """Return the tables in the table that a key has, by name.

        Raises:
            ConfigError: It has something else.
        """
        inner = self.table(key)
        return {name: inner.table(name) for name in inner}

    def sequence(self, key: str) -> "Sequence[Table]":
        """Return the tables in the array that a key has.

        Raises:
            ConfigError: It has something else.
        """
        content = self.take(key, _mappings, list[Mapping[str, Any]]())
        place = self._place(key)
        return [Table(each, self._path, f"{place}[{index}]") for index, each in enumerate(content)]

    def allow(self, *known: str) -> None:
        """Check that there are no other keys.

        Before any is read: a key that is missing may be there, spelt otherwise.

        Raises:
            ConfigError: There is one that nobody knows.
        """
        for key in self._content:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                there = ", ".join(known)
                hint = f"did you mean {near[0]!r}?" if near else f"there is {there}"
                raise self.wrong(key, f"there is no such key; {hint}")

    def wrong(self, key: str, why: str) -> ConfigError:
        """Return the error that something is wrong with a key; empty: with the table itself."""
        where = self._place(key) if key else self._where
        return ConfigError(": ".join(filter(None, (self._path, where, why))))

    def _read(self, key: str, read: Callable[[Any], _Value]) -> _Value:
        try:
            return read(self._content[key])
        except ConfigError as error:
            raise self.wrong(key, str(error)) from None

    def _place(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key


def text(value: object) -> str:
    """Return a text.

    Raises:
        ConfigError: It is none, or empty.
    """
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"must be a text, and is {value!r}")
    return value


def texts(value: object) -> Sequence[str]:
    """Return an array of texts.

    Raises:
        ConfigError: It is none.
    """
    if not isinstance(value, list):
        raise ConfigError(f"must be an array of texts, and is {value!r}")
    return [text(each) for each in value]


def count(value: object) -> int:
    """Return a whole number of at least 1.

    Raises:
        ConfigError: It is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"must be a whole number of at least 1, and is {value!r}")
    return value


def amount(value: object) -> float:
    """Return a number that is not negative.

    Raises:
        ConfigError: It is none.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
        raise ConfigError(f"must be a number that is not negative, and is {value!r}")
    return value


def positive(value: object) -> float:
    """Return a number above 0.

    Raises:
        ConfigError: It is none.
    """
    number = amount(value)
    if not number:
        raise ConfigError("must be more than 0")
    return number


def duration(value: object) -> float:
    """Return a duration in seconds, from its text.

    Raises:
        ConfigError: It is none, or negative.
    """
    nanoseconds = parse_duration(text(value))
    if nanoseconds < 0:
        raise ConfigError(f"must not be negative, and is {value!r}")
    return nanoseconds / _SECOND


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"must be a table, and is {value!r}")
    return value


def _mappings(value: object) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise ConfigError(f"must be an array of tables, and is {value!r}")
    return [_mapping(each) for each in value]
