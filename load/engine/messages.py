"""What the processes of a run and the one that started them say to each other."""

from dataclasses import dataclass
from typing import TypeAlias

from load.records import Chunk, Ended


@dataclass(frozen=True, slots=True)
class Share:
    """Which process of how many: it has every so many-th connection, and their workers."""

    process: int
    processes: int
    connections: int
    """Of all processes."""

    def connection_of(self, worker: int) -> int:
        """Return which connection a worker uses; workers go around them."""
        return worker % self.connections

    def own(self) -> range:
        """Return the connections of this process."""
        return range(self.process, self.connections, self.processes)


@dataclass(frozen=True, slots=True)
class Connected:
    """A process could begin."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A process has not come to the server."""

    reason: str


News: TypeAlias = Connected | Unreachable | Chunk | Ended
"""What a process tells."""


@dataclass(frozen=True, slots=True)
class Begin:
    """All begin together."""

    at: int
    """In nanoseconds of the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Whoever started the run has had enough of it."""
