"""What keeps a controller from its work: told once when it begins, and when it ends."""

from collections.abc import Callable
from typing import Final

import structlog

_log = structlog.get_logger()


class RolloutHolds(Exception):
    """A phase has lasted its least time, and too little is known to leave it; says what."""


class Troubles:
    """The troubles of one rollout, by what they keep from being done.

    The controller tells of them itself: alerts of a Prometheus that is gone cannot fire.
    """

    def __init__(self, flag: str, report: Callable[[Exception, str], None]) -> None:
        """Begin without any; `report` is given the error of each that begins, and the flag."""
        self._flag: Final = flag
        self._report = report
        self._since: dict[str, float] = {}
        self._kinds: dict[str, type[Exception]] = {}

    @property
    def since(self) -> float:
        """Since when there is any, in seconds since the epoch; 0: there is none."""
        return min(self._since.values(), default=0.0)

    def begin(self, what: str, error: Exception, at: float) -> None:
        """Tell that something cannot be done, and why, unless an error of that kind was told."""
        if self._kinds.get(what) is type(error):
            return
        self._kinds[what] = type(error)
        # Read by the thread of the metrics, which must not see it change.
        self._since = {what: at, **self._since}
        # Where little is called that is as it should be.
        tell = _log.warning if isinstance(error, RolloutHolds) else _log.error
        tell(
            "the rollout holds",
            flag=self._flag,
            what=what,
            kind=type(error).__name__,
            reason=str(error),
        )
        self._report(error, self._flag)

    def end(self, what: str) -> None:
        """Tell that it can be done again, if it could not."""
        if self._kinds.pop(what, None):
            self._since = {each: at for each, at in self._since.items() if each != what}
            _log.info("the rollout goes on", flag=self._flag, what=what)
