"""When calls are made and how many, as the options say it."""

from typing import Final

from load.config.model import Config
from load.jobs import Pace, Ramp, Shape, Stop

NO_LIMIT: Final = 2**31 - 1
"""The total that ghz puts in reports of runs that a time ends."""
_SECOND: Final = 1_000_000_000


def seconds(nanoseconds: int) -> float:
    """Return nanoseconds in seconds."""
    return nanoseconds / _SECOND


def call_limit(config: Config) -> int | None:
    """Return after how many calls a run ends; None: after a time alone.

    With `max-duration`, a `total` that somebody has set counts: ghz says so and does not do so.
    """
    timed = config.duration and not config.max_duration
    return None if timed or config.total == NO_LIMIT else config.total


def time_limit(config: Config) -> int:
    """Return after which time a run ends, in nanoseconds; 0: after a number of calls alone."""
    return config.max_duration or config.duration


def pace_of(config: Config) -> Pace:
    """Return the pace of a run."""
    return Pace(
        workers=workers_of(config),
        rate=rate_of(config),
        total=call_limit(config),
        duration=seconds(time_limit(config)) or None,
        stop=Stop(config.duration_stop),
        asynchronous=config.asynchronous,
    )


def workers_of(config: Config) -> Ramp:
    """Return how many workers there are over time."""
    if config.concurrency_schedule == Shape.CONST.value:
        return Ramp(start=config.concurrency)
    return Ramp(
        shape=Shape(config.concurrency_schedule),
        start=config.concurrency_start,
        end=config.concurrency_end,
        step=config.concurrency_step,
        step_duration=_step(config.concurrency_schedule, config.concurrency_step_duration),
        max_duration=seconds(config.concurrency_max_duration),
    )


def rate_of(config: Config) -> Ramp:
    """Return how many calls are begun per second over time."""
    if config.load_schedule == Shape.CONST.value:
        return Ramp(start=config.rps)
    return Ramp(
        shape=Shape(config.load_schedule),
        start=config.load_start,
        end=config.load_end,
        step=config.load_step,
        step_duration=_step(config.load_schedule, config.load_step_duration),
        max_duration=seconds(config.load_max_duration),
    )


def _step(schedule: str, duration: int) -> float:
    return 1 if schedule == Shape.LINE.value else seconds(duration)
