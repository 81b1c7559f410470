"""Leaves a part alone that does not answer."""

import time
from collections.abc import Callable


class CircuitBreaker:
    """Opens after some failures in a row; lets one attempt pass each time it has waited.

    Nygard, "Release It!", 2nd edition, "Circuit Breaker".
    """

    def __init__(
        self, *, failures: int, wait: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make a closed breaker.

        Args:
            failures: After how many failures in a row it opens.
            wait: How many seconds it stays open before it lets one attempt pass.
            clock: Tells the seconds.
        """
        self._limit = failures
        self._wait = wait
        self._clock = clock
        self._failures = 0
        self._next_attempt = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the part is left alone."""
        return self._failures >= self._limit

    def permits(self) -> bool:
        """Return whether an attempt may be made now; its outcome must be told."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._next_attempt:
            return False
        self._next_attempt = now + self._wait
        return True

    def succeeded(self) -> None:
        """Tell that an attempt was answered."""
        self._failures = 0

    def failed(self) -> None:
        """Tell that an attempt was not answered."""
        self._failures += 1
        self._next_attempt = self._clock() + self._wait
