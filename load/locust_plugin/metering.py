"""One call, from its beginning to its end, and the event by which locust learns of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import grpc
from gevent import GreenletExit
from locust.exception import StopUser

from load.calls import Kind
from load.engine.outcomes import STOPPED
from load.locust_plugin.errors import CallFailed

_MILLISECONDS: Final = 1000


class Event(Protocol):
    """The request event of locust."""

    def fire(self, **facts: Any) -> None:  # noqa: ANN401 - whatever listeners are told.
        """Tell all who listen."""


@dataclass(frozen=True, slots=True)
class Meter:
    """What is the same for all calls of a user."""

    request: Event
    context: Callable[[], Mapping[str, Any]]
    """What the user adds to the context of each call."""
    take_meant: Callable[[], float | None]
    """Gives when the next call is meant to begin, by `time.perf_counter`; None: just then."""
    count_cut_off: bool
    """Whether calls count that are cut off as their user is stopped."""


@dataclass(slots=True, eq=False)
class Account:
    """A call that has begun. It is told of once, by whichever of its ends comes first."""

    meter: Meter
    kind: Kind
    name: str
    messages_sent: int = 0
    _begun_at: float = field(default_factory=time.time)
    _begun: float = field(default_factory=time.perf_counter)
    _meant: float | None = None
    _first_message: float | None = None
    _ended: float | None = None
    _messages_received: int = 0
    _bytes_received: int = 0
    _told: bool = False

    def __post_init__(self) -> None:
        self._meant = self.meter.take_meant()

    def stamp(self, *_: object) -> None:
        """Note that it has ended just now: whoever waits for it may come to it later."""
        if self._ended is None:
            self._ended = time.perf_counter()

    def received(self, length: int) -> None:
        """Count a message that came, of so many bytes."""
        if self._first_message is None:
            self._first_message = time.perf_counter()
        self._messages_received += 1
        self._bytes_received += length

    def succeed(self, response: object = None) -> None:
        """Tell that it ended as OK."""
        self._tell("OK", response, None)

    def fail(self, error: CallFailed) -> None:
        """Tell that it failed."""
        self._tell(error.status, None, error)

    def cut_off(self, why: BaseException) -> None:
        """Tell that it was given up: its user was stopped, or had a time-out of its own."""
        if not isinstance(why, (GreenletExit, StopUser)):
            self.fail(CallFailed(grpc.StatusCode.CANCELLED, "context canceled"))
        elif self.meter.count_cut_off:
            self.fail(CallFailed(grpc.StatusCode.UNAVAILABLE, STOPPED))
        else:
            self._told = True

    def _tell(self, status: str, response: object, exception: CallFailed | None) -> None:
        if self._told:
            return
        self._told = True
        self.stamp()
        self.meter.request.fire(
            request_type=self.kind.value,
            name=self.name,
            start_time=self._begun_at,
            response_time=self._since(self._begun),
            response_length=self._bytes_received,
            response=response,
            exception=exception,
            context={**self.meter.context(), **self._facts(status)},
        )

    def _facts(self, status: str) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "status": status,
            "messages_sent": self.messages_sent,
            "messages_received": self._messages_received,
        }
        if self._meant is not None:
            facts["time_since_meant"] = self._since(self._meant)
        if self.kind.server_streams and self._first_message is not None:
            facts["time_to_first_message"] = _MILLISECONDS * (self._first_message - self._begun)
        return facts

    def _since(self, beginning: float) -> float:
        return _MILLISECONDS * ((self._ended or beginning) - beginning)
