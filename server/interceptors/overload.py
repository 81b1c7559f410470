"""What a worker can take: it refuses early what it could not serve in time."""

import math
import random
import time
from collections.abc import Callable
from typing import Final

from domain.errors import DeadlineExceededError, Reason, UnavailableError
from patron.options.v1.options_pb2 import (
    RATE_LIMIT_CLASS_ANALYTICS,
    RATE_LIMIT_CLASS_READ,
    RateLimitClass,
)
from server.call import set_deadline
from server.interceptors.deadline import ask_deadline
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Kind, Method

_PARTS: Final[dict[RateLimitClass.ValueType, float]] = {
    RATE_LIMIT_CLASS_ANALYTICS: 0.6,
    RATE_LIMIT_CLASS_READ: 0.8,
}
"""Up to which part of the bound a class of calls is let in; what is not here, up to all of it."""


class Overload(Interceptor):
    """Bounds the work in flight, and refuses calls that have no time left.

    Reports are refused first, then reads, and writes only at the bound: a shop can do without the
    others for a moment. Streams wait for their clients for most of their life, so they are no work
    in flight and have a bound of their own.
    """

    def __init__(
        self, *, max_in_flight: int, max_streams: int, abandoned: Callable[[], int] = lambda: 0
    ) -> None:
        """Bound the work.

        Args:
            max_in_flight: How many calls of one request and one answer there are at once, at most.
            max_streams: How many streams are open at once, at most.
            abandoned: Tells how much work goes on that was begun for calls whose clients have left;
                it keeps their place.
        """
        self.in_flight = 0
        """How many calls of one request and one answer are being served."""
        self.streams = 0
        """How many streams are open."""
        self._max_in_flight = max_in_flight
        self._max_streams = max_streams
        self._abandoned = abandoned

    def wrap(self, method: Method, call: Call) -> Call:
        """Guard the calls of the method."""
        return self._unary(method, call) if method.kind is Kind.UNARY else self._stream(call)

    def _unary(self, method: Method, call: Call) -> Call:
        part = _PARTS.get(method.policy.rate_limit_class, 1.0)
        bound = max(1, int(self._max_in_flight * part))
        usual, abandoned = UsualTime(), self._abandoned

        async def guarded(request: Payload, context: Context) -> Payload:
            begun = time.monotonic()
            deadline = ask_deadline(context)
            set_deadline(deadline)
            if usual.exceeds(deadline - begun, begun):
                raise _too_late()
            if self.in_flight + abandoned() >= bound:
                raise _overloaded("calls in flight")
            self.in_flight += 1
            try:
                answer = await call(request, context)
            finally:
                self.in_flight -= 1
            usual.learn(begun, time.monotonic())
            return answer

        return guarded

    def _stream(self, call: Call) -> Call:
        async def guarded(request: Payload, context: Context) -> Payload:
            deadline = ask_deadline(context)
            set_deadline(deadline)
            if deadline - time.monotonic() < UsualTime.LEAST:
                raise _too_late()
            if self.streams >= self._max_streams:
                raise _overloaded("open streams")
            self.streams += 1
            try:
                return await call(request, context)
            finally:
                self.streams -= 1

        return guarded


class UsualTime:
    """The time that nine of ten successful calls of a method take at least.

    A call that has less left has one chance in ten, and would take the place of one that has more.
    Not the mean: of calls that are answered from memory or by a long query, most take far less.

    It is the first decile, learnt without keeping any times: a longer call lifts the estimate by a
    little, a shorter one lowers it by nine times as much, so that it comes to rest where nine are
    longer for each that is shorter (Robbins and Monro, 1951). A second after the last lesson it
    begins to halve every second: an estimate that refuses every call must not do so for ever.
    """

    __slots__ = ("_learnt_at", "_seconds")

    LEAST: Final = 0.001
    """Seconds in which no client can be answered."""
    _STEP: Final = 1.02
    _MEMORY: Final = 1.0

    def __init__(self) -> None:
        self._seconds = self.LEAST
        self._learnt_at = 0.0

    def exceeds(self, remaining: float, now: float) -> bool:
        """Return whether a call that has `remaining` seconds left at `now` is too late."""
        return remaining < self._seconds and remaining < self.at(now)

    def at(self, now: float) -> float:
        """Return the estimate at `now`, in seconds."""
        forgetting = now - self._learnt_at - self._MEMORY
        if forgetting <= 0:
            return self._seconds
        return max(self.LEAST, self._seconds * math.exp2(-forgetting))

    def learn(self, begun: float, ended: float) -> None:
        """Take a successful call into account; its times are on the same clock."""
        estimate = self.at(ended)
        if ended - begun > estimate:
            self._seconds = estimate * self._STEP
        else:
            self._seconds = max(self.LEAST, estimate * self._STEP**-9)
        self._learnt_at = ended


def _too_late() -> DeadlineExceededError:
    return DeadlineExceededError(
        Reason.DEADLINE_TOO_SHORT, "too little of the deadline was left to do the work"
    )


def _overloaded(what: str) -> UnavailableError:
    # Whoever is refused together should not come back together.
    retry_after = random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    return UnavailableError(
        Reason.OVERLOADED, f"the server has too many {what}", retry_after=retry_after
    )
