"""The connections that users share."""

import logging
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import gevent
import grpc
from gevent.event import Event
from grpc.experimental.gevent import init_gevent

from load.jobs import Target
from load.targets.channels import reason_of, synchronous_channel

_MOST_THREADS: Final = 10_000
_REASON_SECONDS: Final = 1
_UNSETTLED: Final = (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING)
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Connection:
    """A channel, and how many users have it."""

    channel: grpc.Channel
    users: int = 0
    tried: Any = field(default_factory=Event)
    """Set as soon as it is connected, or could not be."""


class Connections:
    """The connections to a target, in this process; each is open as long as somebody has it."""

    def __init__(self, target: Target, most: int | None) -> None:
        """Begin without any.

        Args:
            target: What is connected to.
            most: How many connections all users share evenly; None: each has its own.
        """
        self._target = target
        self._most = most
        self._open: list[Connection] = []
        self._told = False

    def lease(self) -> Connection:
        """Return a connection, which is made meanwhile; wait for `tried`, and `release` it."""
        if self._most is None or len(self._open) < self._most:
            _prepare()
            self._open.append(Connection(synchronous_channel(self._target)))
            gevent.spawn(self._connect, self._open[-1])
        connection = min(self._open, key=lambda each: each.users)
        connection.users += 1
        return connection

    def release(self, connection: Connection) -> None:
        """Close a connection if nobody has it any more."""
        connection.users -= 1
        if not connection.users:
            self._open.remove(connection)
            connection.channel.close()

    def _connect(self, connection: Connection) -> None:
        """Connect, so that no call is measured with it; once, tell why that cannot be done."""
        settled = Event()
        channel = connection.channel

        def look(state: grpc.ChannelConnectivity) -> None:
            if state not in _UNSETTLED:
                settled.set()
            if state is grpc.ChannelConnectivity.READY:
                self._told = True

        channel.subscribe(look, try_to_connect=True)
        settled.wait(self._target.connect_timeout or None)
        channel.unsubscribe(look)
        if not self._told:
            self._told = True
            _logger.error("%s cannot be reached: %s", self._target.host, _reason(channel))
        connection.tried.set()


def _reason(channel: grpc.Channel) -> str:
    """Return why there is no connection: a call that fails for it tells, and reaches nobody."""
    call: Any = channel.unary_unary("/")
    try:
        call.future(b"", timeout=_REASON_SECONDS).result()
    except grpc.RpcError as error:
        return reason_of(error.code(), error.details())
    return "no connection"


@cache
def _prepare() -> None:
    """Make gRPC wait in threads of gevent's pool, and greenlets run meanwhile.

    It has to be done before the first channel, and after the fork of a worker. Each channel with
    ongoing calls holds a thread, of which the pool has 10 unless told otherwise: with more
    channels than that, answers would wait for each other. A thread is only started when needed.
    """
    init_gevent()
    gevent.get_hub().threadpool.maxsize = _MOST_THREADS
