"""When the calls of a scenario are made: by users, or at a rate."""

from dataclasses import dataclass
from typing import Final

from load.errors import ConfigError
from load.jobs import Ramp, Shape, Stage
from load.scenarios.tables import Table, amount, count, duration, positive

_WORKERS: Final = 50
"""How many calls are made at once at most, where a rate does not say."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What users, or a rate, say of the pace. Times are in seconds."""

    workers: Ramp
    rate: Ramp
    pause: tuple[float, float] | None = None
    every: float | None = None

    @property
    def most_workers(self) -> int:
        """How many workers there are at most."""
        targets = (stage.target for stage in self.workers.stages)
        return int(max((self.workers.start, *targets)))

    @property
    def seconds(self) -> float:
        """How long its stages take; 0: it has none."""
        return sum(stage.duration for stage in (*self.workers.stages, *self.rate.stages))


def read_rhythm(document: Table) -> Rhythm:
    """Return what `users` or `rate` says; one of them has to be there.

    Raises:
        ConfigError: They are not as they have to be; the text names file and key.
    """
    users, rate = document.table("users"), document.table("rate")
    if ("users" in document) == ("rate" in document):
        raise document.wrong(
            "", "say when calls are made by one of [users] and [rate], which exclude each other"
        )
    return _of_users(users) if "users" in document else _of_rate(rate)


def _of_users(table: Table) -> Rhythm:
    table.allow("count", "stages", "pause", "every")
    if "pause" in table and "every" in table:
        raise table.wrong("", "pause and every exclude each other: both say when")
    return Rhythm(
        workers=_ramp(table, "count", whole=True),
        rate=Ramp(),
        pause=table.take("pause", _pause, None),
        every=table.take("every", _interval, None),
    )


def _of_rate(table: Table) -> Rhythm:
    table.allow("per-second", "stages", "workers")
    return Rhythm(
        workers=Ramp(start=table.take("workers", count, _WORKERS)),
        rate=_ramp(table, "per-second", whole=False),
    )


def _ramp(table: Table, constant: str, *, whole: bool) -> Ramp:
    stages = [_stage(stage, whole=whole) for stage in table.sequence("stages")]
    if (constant in table) == bool(stages):
        raise table.wrong("", f"say how many by one of {constant} and stages")
    if not stages:
        return Ramp(start=table.demand(constant, count if whole else positive, ""))
    if not any(stage.target for stage in stages):
        raise table.wrong("stages", "all targets are 0")
    return Ramp(shape=Shape.STAGES, stages=stages)


def _stage(table: Table, *, whole: bool) -> Stage:
    table.allow("duration", "target")
    stage = Stage(
        duration=table.demand("duration", duration, "how long it takes, such as 30s"),
        target=table.demand("target", amount, "how many there are in the end of it"),
    )
    if whole and stage.target % 1:
        raise table.wrong("target", f"must be a whole number, and is {stage.target!r}")
    return stage


def _pause(value: object) -> tuple[float, float]:
    """Return from and to how long a pause is."""
    if not isinstance(value, list):
        return duration(value), duration(value)
    if len(value) != 2:  # noqa: PLR2004
        raise ConfigError(f"must be a duration, or from which to which, and is {value!r}")
    shortest, longest = map(duration, value)
    if shortest > longest:
        raise ConfigError(f"must not be from {value[0]} down to {value[1]}")
    return shortest, longest


def _interval(value: object) -> float:
    seconds = duration(value)
    if not seconds:
        raise ConfigError("must be more than 0s")
    return seconds
