"""When each call is meant to begin, and how many workers there are: pure functions of the job.

Source: `load/pacer.go` and `load/worker_ticker.go` of ghz. The rate of a line changes once a
second there, and so it does here: it is a staircase of steps of a second.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import count
from typing import Final, NamedTuple, Protocol

from load.errors import ConfigError
from load.jobs import Ramp, Shape

NEVER: Final = math.inf
_FUZZ: Final = 1e-9
_STAGE_WIDTH: Final = 0.1
"""A straight line of a stage is a staircase of steps that take at most so many seconds."""


class Stair(NamedTuple):
    """From when on a number is what it is."""

    at: float
    """In seconds since the beginning."""
    value: float


def staircase(ramp: Ramp) -> Iterator[Stair]:
    """Yield the numbers of a ramp over time, the first at 0; endlessly, if it has no end.

    A number never gets below 0.

    Raises:
        ConfigError: The steps take no time, or lead away from the end.
    """
    if ramp.shape is Shape.CONST:
        return iter((Stair(0, ramp.start),))
    if ramp.shape is Shape.STAGES:
        return _staged(ramp)
    width = 1.0 if ramp.shape is Shape.LINE else ramp.step_duration
    if width <= 0:
        raise ConfigError("the duration of a step must be more than 0")
    if ramp.max_duration:
        return _timed(ramp, width)
    if ramp.end and (ramp.end - ramp.start) * ramp.step < 0:
        raise ConfigError(
            f"steps of {ramp.step:g} lead from {ramp.start:g} away from {ramp.end:g}: "
            "change the sign of the step, or say for how long it changes"
        )
    return _aimed(ramp, width)


def _timed(ramp: Ramp, width: float) -> Iterator[Stair]:
    """Climb for a time, and stay at the end from then on."""
    for index in count():
        if index * width >= ramp.max_duration:
            break
        yield Stair(index * width, max(ramp.start + index * ramp.step, 0))
    # A step that falls on the end of the time is made.
    steps = math.floor(ramp.max_duration / width + _FUZZ)
    yield Stair(ramp.max_duration, ramp.end or max(ramp.start + steps * ramp.step, 0))


def _aimed(ramp: Ramp, width: float) -> Iterator[Stair]:
    """Climb until the end is reached; without an end, down to 0 or up for ever."""
    endless = ramp.step == 0 or (ramp.end == 0 and ramp.step > 0)
    for index in count():
        value = ramp.start + index * ramp.step
        over = (value - ramp.end) * ramp.step >= 0
        if over and not endless:
            yield Stair(index * width, ramp.end)
            return
        yield Stair(index * width, value)
        if ramp.step == 0:
            return


def _staged(ramp: Ramp) -> Iterator[Stair]:
    """Go straight to the target of each stage; each step is as high as the line is in its middle.

    So the sum over a stage is that of the line.
    """
    at, value = 0.0, ramp.start
    for stage in ramp.stages:
        rise = stage.target - value
        steps = math.ceil(stage.duration / _STAGE_WIDTH) if rise else bool(stage.duration)
        for index in range(steps):
            yield Stair(at + index * stage.duration / steps, value + rise * (index + 0.5) / steps)
        at, value = at + stage.duration, stage.target
    yield Stair(at, value)


class Schedule(Protocol):
    """When calls are meant to begin."""

    def due(self, index: int) -> float:
        """Return when the call with this index, from 0, is meant to begin: in seconds."""

    def before(self, seconds: float) -> int:
        """Return how many calls are meant to begin before this moment."""


class Steady:
    """So many calls in each second, for ever, the first after one interval."""

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def due(self, index: int) -> float:
        """Return when a call is meant to begin."""
        return (index + 1) / self._rate

    def before(self, seconds: float) -> int:
        """Return how many calls are meant to begin before this moment."""
        return _exactly(self, seconds * self._rate, seconds)


class Stairs:
    """A rate that changes in steps: the k-th call is due when the sum of the rate reaches k + 1."""

    def __init__(self, ramp: Ramp) -> None:
        self._ahead = staircase(ramp)
        first = next(self._ahead)
        # The stairs so far: from when, how many calls are due until then, and the rate since.
        self._at = [first.at]
        self._sum = [0.0]
        self._rate = [first.value]

    def due(self, index: int) -> float:
        """Return when a call is meant to begin; `NEVER`, when the rate falls to 0 before."""
        wanted = index + 1.0
        while self._sum[-1] < wanted and self._climb():
            pass
        stair = bisect_left(self._sum, wanted) - 1
        if self._rate[stair] == 0:
            return NEVER
        return self._at[stair] + (wanted - self._sum[stair]) / self._rate[stair]

    def before(self, seconds: float) -> int:
        """Return how many calls are meant to begin before this moment."""
        while self._at[-1] <= seconds and self._climb():
            pass
        stair = bisect_right(self._at, seconds) - 1
        due = self._sum[stair] + (seconds - self._at[stair]) * self._rate[stair]
        return _exactly(self, due, seconds)

    def _climb(self) -> bool:
        stair = next(self._ahead, None)
        if stair is None:
            return False
        self._sum.append(self._sum[-1] + (stair.at - self._at[-1]) * self._rate[-1])
        self._at.append(stair.at)
        self._rate.append(stair.value)
        return True


def _exactly(schedule: Schedule, about: float, seconds: float) -> int:
    """Return the count that agrees with `due`, whatever was lost in floating point."""
    found = max(math.ceil(about) - 1, 0)
    while schedule.due(found) < seconds:
        found += 1
    while found and schedule.due(found - 1) >= seconds:
        found -= 1
    return found


def schedule_of(rate: Ramp) -> Schedule | None:
    """Return the schedule of a rate; None of a constant rate of 0: calls begin as they can.

    Raises:
        ConfigError: The rate is not one.
    """
    if rate.shape is not Shape.CONST:
        return Stairs(rate)
    return Steady(rate.start) if rate.start else None
