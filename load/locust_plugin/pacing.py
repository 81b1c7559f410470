"""Wait times by a timetable, for honest latencies.

locust's `constant_pacing` forgets what it has missed: after a call that took longer than the
interval, the next one is meant to begin just then. These here keep to the timetable: what is late
is made up for, and the time of its call also counts from when it was meant to begin.

Source: "coordinated omission", in Gil Tene's talk "How NOT to Measure Latency".
"""

import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

_meant: "WeakKeyDictionary[Any, float]" = WeakKeyDictionary()
"""When the next call of a user is meant to begin, by `time.perf_counter`."""


def constant_pacing(interval: float) -> Callable[[Any], float]:
    """Return a `wait_time`, by which a task begins every so many seconds.

    The timetable begins when the first task has ended.

    Raises:
        ValueError: The interval is not positive.
    """
    if interval <= 0:
        raise ValueError(f"constant_pacing takes a positive number of seconds, not {interval}")
    timetables: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def wait_time(owner: Any) -> float:  # noqa: ANN401 - a user, or one of its sets of tasks.
        now = time.perf_counter()
        meant = timetables.get(owner, now) + interval
        timetables[owner] = meant
        _meant[getattr(owner, "user", owner)] = meant
        return max(0.0, meant - now)

    return wait_time


def constant_throughput(rate: float) -> Callable[[Any], float]:
    """Return a `wait_time`, by which a user begins so many tasks per second.

    Raises:
        ValueError: The rate is not positive.
    """
    if rate <= 0:
        raise ValueError(f"constant_throughput takes a positive rate, not {rate}")
    return constant_pacing(1 / rate)


def take_meant(user: object) -> float | None:
    """Return when the next call of a user is meant to begin, by `time.perf_counter`; once.

    None: whenever it does. Of the calls of a task, only the first can be late by its own.
    """
    return _meant.pop(user, None)
