"""What is to be done: the one thing that configurations and scenarios are made into.

All of it can be pickled: every process that generates load gets the same job, and does its part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from load.calls import Call


@dataclass(frozen=True, slots=True)
class Credentials:
    """How TLS is done. The files have been read."""

    roots: bytes | None = None
    """PEM; None: those of the system."""
    certificate: bytes | None = None
    key: bytes | None = None
    server_name: str = ""
    """The name in the certificate of the server, where it isn't that of the host."""
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and how it is connected to."""

    host: str
    credentials: Credentials | None
    """None: plaintext."""
    authority: str = ""
    connect_timeout: float = 10
    """Seconds; 0: any time."""
    keepalive: float = 0
    """Seconds between two pings; 0: none."""
    compression: bool = False
    max_receive: int = -1
    """The largest message that is taken, in bytes; -1: any."""
    max_send: int = -1
    load_balancing: str = ""
    """The name of a policy of gRPC; empty: its default."""


class Shape(Enum):
    """How a number changes over time."""

    CONST = "const"
    STEP = "step"
    LINE = "line"
    STAGES = "stages"
    """Straight on from stage to stage; scenarios say it so, ghz has no such thing."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the time in which a number goes straight to another one."""

    duration: float
    """In seconds; 0: it is there at once."""
    target: float


@dataclass(frozen=True, slots=True)
class Ramp:
    """A number over time, as ghz says it: of calls per second, or of workers."""

    shape: Shape = Shape.CONST
    start: float = 0
    """At the beginning; of a constant, for ever. A constant rate of 0 is none: no limit."""
    end: float = 0
    """Where it stays in the end; 0: where it is when `max_duration` is over."""
    step: float = 0
    """By how much each step changes it; of a line, by how much each second does."""
    step_duration: float = 1
    """In seconds."""
    max_duration: float = 0
    """For how many seconds it changes; 0: until `end`."""
    stages: Sequence[Stage] = ()
    """Of `STAGES` alone, one after the other; it stays where the last one ends."""

    @property
    def highest(self) -> float:
        """The largest number that it is told to go to, which steps without an end are not."""
        return max(self.start, self.end, *(stage.target for stage in self.stages))


class Stop(Enum):
    """What becomes of the calls in flight when the time is over."""

    CLOSE = "close"
    """They are cut off, and counted as Unavailable."""
    WAIT = "wait"
    """They are waited for."""
    IGNORE = "ignore"
    """They are cut off, and not counted."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When calls are made, and how many. Times are in seconds."""

    workers: Ramp
    """How many calls are made at once: each worker makes one after the other."""
    rate: Ramp = field(default_factory=Ramp)
    """How many calls are begun each second, by all workers together."""
    total: int | None = None
    """How many calls are made; None: any number."""
    duration: float | None = None
    """For how long calls are begun; None: until `total`."""
    warm_up: float = 0
    """For how long, before that, calls are made that nobody counts."""
    stop: Stop = Stop.CLOSE
    asynchronous: bool = False
    """Whether a worker begins the next call without waiting for the last one."""
    pause: tuple[float, float] | None = None
    """From and to how long a worker waits after a call: a user who looks at the answer."""
    every: float | None = None
    """How long after it meant to begin the last call a worker means to begin the next one.

    However late that was: who is kept waiting falls behind, and the second clock tells.
    """


@dataclass(frozen=True, slots=True)
class Job:
    """A run."""

    target: Target
    calls: Sequence[Call]
    pace: Pace
    name: str = ""
    connections: int = 1
    """Of all processes together; workers are spread over them evenly."""
    processes: int = 1
    """At most one for each connection and worker."""
    trailers: Sequence[str] = ()
    """Trailing metadata whose values are counted, such as `patron-cache`."""
