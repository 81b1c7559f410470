"""Makes calls of all kinds, each from its beginning to its end."""

import asyncio
import base64
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import cycle, islice
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import grpc.aio
from grpc import StatusCode
from grpc.aio import AioRpcError

from load.calls import Call, Kind, Payload
from load.engine.outcomes import (
    ANSWERED,
    CANCELLED,
    CUT_OFF,
    STREAM_CUT_OFF,
    Outcome,
    outcome_of,
)

_Style: TypeAlias = Any
_Rpc: TypeAlias = Any
"""What begins calls, and a call: the types of grpc.aio know of none without serializers."""
_NOT_SENT: Final = "Internal error from Core"
_TRIES: Final = 500
_PAUSE: Final = 0.002
_T = TypeVar("_T")


class Maker(Protocol):
    """Makes one call of the job again and again, on one connection."""

    async def make(self, payload: Payload) -> Outcome:
        """Make the call, and return how it ended.

        Raises:
            DataError: The data does not make a message of the stream.
        """


def maker_of(channel: grpc.aio.Channel, call: Call, trailers: Sequence[str]) -> Maker:
    """Return what makes the call on this connection, and sees which values these trailers have."""
    style, maker = _MAKERS[call.method.kind]
    begin = getattr(channel, style)(call.method.path)
    if call.method.kind is Kind.UNARY and not trailers:
        return _Unary(begin, call)
    return maker(begin, call, trailers)


class _Unary:
    """Makes calls with as little ado as can be: this is where every microsecond counts."""

    def __init__(self, begin: _Style, call: Call) -> None:
        self._begin = begin
        self._timeout = call.timeout or None

    async def make(self, payload: Payload) -> Outcome:
        """Make the call, and return how it ended."""
        try:
            await self._begin(
                payload.messages[0], timeout=self._timeout, metadata=payload.metadata or None
            )
        except AioRpcError as error:
            return outcome_of(error.code(), error.details())
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            return CUT_OFF
        return ANSWERED


class _Talk:
    """A call with its messages, and its end."""

    def __init__(self, rpc: _Rpc, payload: Payload, sent: int) -> None:
        self.rpc = rpc
        self.payload = payload
        self.sent = sent
        self.received = 0
        self.over = asyncio.Event()
        self._said: tuple[StatusCode, str | None] | None = None
        rpc.add_done_callback(self._hear)

    def _hear(self, _: _Rpc) -> None:
        self._look()
        self.over.set()

    def _look(self) -> None:
        # Where a message cannot be sent because the server has ended the call, grpc.aio says so
        # before it has heard what the server says; or after that, and forgets it.
        details = _at_once(self.rpc.details())
        if details != _NOT_SENT:
            self._said = _at_once(self.rpc.code()), details

    async def failure(self) -> Outcome:
        """Return how the call failed, as soon as that is known."""
        for _ in range(_TRIES):
            if self._said:
                return outcome_of(*self._said)
            await asyncio.sleep(_PAUSE)
            self._look()
        return outcome_of(StatusCode.INTERNAL, _NOT_SENT)

    async def trailers(self, names: Container[str]) -> Sequence[tuple[str, str]]:
        """Return the values of those of its trailers that have these names."""
        return [
            (name, base64.b64encode(value).decode() if isinstance(value, bytes) else value)
            for name, value in await self.rpc.trailing_metadata()
            if name in names
        ]


def _is_cancelled() -> bool:
    """Return whether whoever makes the call is cancelled, and not the call alone.

    That a connection was closed looks the same to who waits for an answer.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _at_once(answer: Coroutine[Any, Any, _T]) -> _T:
    """Return what is known already, without letting anything happen meanwhile."""
    try:
        answer.send(None)
    except StopIteration as end:
        value: _T = end.value
        return value
    raise AssertionError


class _Maker(ABC):
    """What makers of calls share that are more than a question and an answer."""

    _cut_off = STREAM_CUT_OFF

    def __init__(self, begin: _Style, call: Call, trailers: Sequence[str]) -> None:
        self._begin = begin
        self._timeout = call.timeout or None
        self._stream = call.stream
        self._trailers = frozenset(name.lower() for name in trailers)

    async def make(self, payload: Payload) -> Outcome:
        """Make the call, and return how it ended.

        Raises:
            DataError: The data does not make a message of the stream.
        """
        talk = self._open(payload)
        try:
            outcome = await self._carry_on(talk)
        except AioRpcError:
            outcome = await talk.failure()
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            outcome = self._cut_off
        return outcome._replace(
            sent=talk.sent,
            received=talk.received,
            trailers=await talk.trailers(self._trailers) if self._trailers else (),
        )

    @abstractmethod
    def _open(self, payload: Payload) -> _Talk: ...

    @abstractmethod
    async def _carry_on(self, talk: _Talk) -> Outcome:
        """Do what is to be done until the end.

        Raises:
            AioRpcError: The call has failed.
            CancelledError: It was cut off.
            DataError: The data does not make a message of the stream.
        """


class _SendingOne(_Maker):
    def _open(self, payload: Payload) -> _Talk:
        rpc = self._begin(
            payload.messages[0], timeout=self._timeout, metadata=payload.metadata or None
        )
        return _Talk(rpc, payload, sent=1)


class _SendingMany(_Maker):
    def _open(self, payload: Payload) -> _Talk:
        rpc = self._begin(timeout=self._timeout, metadata=payload.metadata or None)
        return _Talk(rpc, payload, sent=0)

    async def _send(self, talk: _Talk) -> None:
        """Send what there is, and say that it was all; stop when the call ends before."""
        until = time.monotonic() + (self._stream.duration or math.inf)
        try:
            for message in self._messages(talk.payload):
                if talk.sent and self._stream.interval:
                    pause = min(self._stream.interval, until - time.monotonic())
                    with suppress(TimeoutError):
                        await asyncio.wait_for(talk.over.wait(), max(pause, 0))
                if talk.over.is_set() or time.monotonic() >= until:
                    break
                await talk.rpc.write(message)
                talk.sent += 1
            await talk.rpc.done_writing()
        except (AioRpcError, asyncio.InvalidStateError):
            # The server has ended the call. How, is told when it is awaited.
            return
        except BaseException:
            talk.rpc.cancel()
            raise

    def _messages(self, payload: Payload) -> Iterator[bytes]:
        length = len(payload.messages)
        # As often as wanted from the first on again; nothing, if there is none.
        indexes = islice(cycle(range(length)), self._stream.count or length)
        if payload.regenerate is None:
            return (payload.messages[index] for index in indexes)
        return map(payload.regenerate, indexes)


class _UnaryWithTrailers(_SendingOne):
    _cut_off = CUT_OFF

    async def _carry_on(self, talk: _Talk) -> Outcome:
        await talk.rpc
        talk.received = 1
        return ANSWERED


class _ServerStream(_SendingOne):
    async def _carry_on(self, talk: _Talk) -> Outcome:
        ended_here = False

        def end() -> None:
            nonlocal ended_here
            ended_here = True
            talk.rpc.cancel()

        seconds = self._stream.duration
        timer = asyncio.get_running_loop().call_later(seconds, end) if seconds else None
        try:
            async for _ in talk.rpc:
                talk.received += 1
                if talk.received == self._stream.count:
                    end()
        except asyncio.CancelledError:
            if ended_here and not _is_cancelled():
                return CANCELLED
            raise
        finally:
            if timer:
                timer.cancel()
        return ANSWERED


class _ClientStream(_SendingMany):
    async def _carry_on(self, talk: _Talk) -> Outcome:
        await self._send(talk)
        await talk.rpc
        talk.received = 1
        return ANSWERED


class _BidiStream(_SendingMany):
    async def _carry_on(self, talk: _Talk) -> Outcome:
        sending = asyncio.create_task(self._send(talk))
        try:
            async for _ in talk.rpc:
                talk.received += 1
        finally:
            # It ends with the call. What it says of that is said above; what is wrong with the
            # data, only here.
            await asyncio.wait((sending,))
            if not sending.cancelled() and (error := sending.exception()):
                raise error
        return ANSWERED


_MAKERS: Final[Mapping[Kind, tuple[str, Callable[[_Style, Call, Sequence[str]], Maker]]]] = {
    Kind.UNARY: ("unary_unary", _UnaryWithTrailers),
    Kind.SERVER_STREAM: ("unary_stream", _ServerStream),
    Kind.CLIENT_STREAM: ("stream_unary", _ClientStream),
    Kind.BIDI_STREAM: ("stream_stream", _BidiStream),
}
