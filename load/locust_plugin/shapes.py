"""How many users there are over time, as ghz says how many workers there are."""

from typing import ClassVar, Final

from locust import LoadTestShape

from load.config.pacing import seconds, time_limit, workers_of
from load.engine.schedules import Stair, staircase
from load.errors import ConfigError
from load.locust_plugin.options import config_of

_OPTIONS: Final = (
    *("concurrency", "duration", "concurrency_schedule", "concurrency_start", "concurrency_end"),
    *("concurrency_step", "concurrency_step_duration", "concurrency_max_duration"),
)


class GhzShape(LoadTestShape):
    """Users as the workers of ghz, all of which come and go at once at each step.

    The attributes that are None here are options of ghz, and take what a configuration file of ghz
    would have; what they leave open `config` says, the path of such a file. Without a duration,
    the test goes on until somebody ends it. How many calls users make is for their tasks to say:
    `total`, `rps` and the load schedule have no effect.

    locust looks at it once a second, and cuts off the calls of a user who has to go, unless its
    `--stop-timeout` lets them end.
    """

    abstract = True

    config: ClassVar[str] = ""

    concurrency: ClassVar[int | None] = None
    duration: ClassVar[str | None] = None
    concurrency_schedule: ClassVar[str | None] = None
    concurrency_start: ClassVar[int | None] = None
    concurrency_end: ClassVar[int | None] = None
    concurrency_step: ClassVar[int | None] = None
    concurrency_step_duration: ClassVar[str | None] = None
    concurrency_max_duration: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        try:
            config = config_of(type(self), _OPTIONS, path=self.config)
        except ConfigError as error:
            raise ConfigError(f"{type(self).__name__}: {error}") from None
        self._seconds = seconds(time_limit(config))
        self._workers = workers_of(config)
        self._begin()

    def _begin(self) -> None:
        self._ahead = staircase(self._workers)
        self._next: Stair | None = next(self._ahead)
        self._now = (0, 1.0)

    def reset_time(self) -> None:
        """Begin from the beginning, as a test does."""
        super().reset_time()  # type: ignore[no-untyped-call]
        self._begin()

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there are now, and how many come or go in a second; None: stop."""
        elapsed: float = self.get_run_time()  # type: ignore[no-untyped-call]
        if self._seconds and elapsed >= self._seconds:
            return None
        before, _ = self._now
        users = before
        while self._next and self._next.at <= elapsed:
            users = int(self._next.value)
            self._next = next(self._ahead, None)
        if users != before:
            self._now = (users, float(abs(users - before)))
        return self._now
