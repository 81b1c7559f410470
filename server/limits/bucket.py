"""A limit within one process."""


class LocalBucket:
    """Lets at most `rate * W + burst` calls pass in any `W` seconds: GCRA.

    The generic cell rate algorithm, as in ITU-T I.371, Annex A: it keeps nothing but the time at
    which the next call would come if all came evenly.
    """

    __slots__ = ("_interval", "_next_at", "_tolerance")

    def __init__(self, *, rate: float, burst: float) -> None:
        self._interval = 1 / rate
        self._tolerance = (burst - 1) / rate
        self._next_at = 0.0

    def take(self, now: float) -> float:
        """Return 0 when a call passes now; else in how many seconds one would, and take nothing."""
        wait = self._next_at - self._tolerance - now
        if wait > 0:
            return wait
        self._next_at = max(self._next_at, now) + self._interval
        return 0.0
