"""Users who call a server, in a process of their own on the clients' core."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tests.load.bench.errors import NotMeasured
from tests.load.bench.places import REPOSITORY

_DRIVER: Final = "tests.load.bench.driver"
_SPARE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Group:
    """Users who all do the same, each on a connection of its own."""

    target: str
    users: int
    seconds: float
    """How long is measured."""
    warm_up: float
    """How long they call before that, in seconds."""
    mix: Mapping[str, int]
    """How often each method is called, by its short name."""
    tokens: Mapping[int, str]
    """Of each merchant that they call for, evenly."""
    billed: Sequence[int]
    """The merchants that bills are created for, evenly."""
    pause: tuple[float, float] = (0, 0)
    """From and to how many seconds a user waits between two calls."""
    every: float | None = None
    """Instead of pauses: a user means to call at every so many seconds, whatever the server does.

    Then a call's time counts from when it was meant to begin.
    """


@dataclass(frozen=True, slots=True)
class Experience:
    """What the users met while it was measured."""

    calls: int
    """How many were answered well."""
    errors: Mapping[str, int]
    """How many ended otherwise, by status code."""
    milliseconds: Mapping[str, float]
    """The percentiles of the calls that were answered well: p50, p95, p99, max."""
    methods: Mapping[str, int]
    """How many were answered well, by method."""
    hits: int
    """How many of GetSummary were answered from the cache."""
    busy: float
    """Which share of its core the driver used: near 1, it was the driver that was too slow."""

    @property
    def failed(self) -> int:
        """How many calls were not answered well."""
        return sum(self.errors.values())


class Running:
    """A group of users that calls."""

    def __init__(self, group: Group) -> None:
        self._patience = group.warm_up + group.seconds + _SPARE_SECONDS
        self._process = subprocess.Popen(
            [sys.executable, "-m", _DRIVER],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        if self._process.stdin is None:
            raise AssertionError
        # Not as an argument, which everybody on the machine may read: there are tokens in it.
        self._process.stdin.write(msgspec.json.encode(group))
        self._process.stdin.close()
        self._process.stdin = None

    def result(self) -> Experience:
        """Wait for the end and return what they met.

        Raises:
            NotMeasured: The driver failed.
        """
        try:
            output, _ = self._process.communicate(timeout=self._patience)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            raise NotMeasured("the users did not come to an end") from error
        if self._process.returncode:
            raise NotMeasured(f"the users' driver failed with {self._process.returncode}")
        return msgspec.json.decode(output, type=Experience)


def live(group: Group) -> Experience:
    """Let the users call and return what they met; raises NotMeasured."""
    return Running(group).result()
