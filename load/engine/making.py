"""Makes calls of all kinds, each from its beginning to its end."""

import asyncio
import base64
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Final, Protocol, TypeAlias

import grpc.aio
from grpc.aio import AioRpcError

from load.calls import Call, Kind, Payload
from load.engine.outcomes import ANSWERED, CANCELLED, CUT_OFF, Outcome, outcome_of

_Style: TypeAlias = Any
_Rpc: TypeAlias = Any
"""What begins calls, and a call: the types of grpc.aio know of none without serializers."""


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
            return outcome_of(error)
        except asyncio.CancelledError:
            # Nobody cancels a worker: it was the connection that was closed.
            return CUT_OFF
        return ANSWERED


@dataclass(slots=True)
class _Messages:
    """How many there were in a call."""

    sent: int = 0
    received: int = 0


class _Maker(ABC):
    """What makers of calls share that are more than a question and an answer."""

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
        messages = _Messages()
        rpc = self._open(payload, messages)
        try:
            outcome = await self._carry_on(rpc, payload, messages)
        except AioRpcError as error:
            outcome = outcome_of(error)
        except asyncio.CancelledError:
            outcome = CUT_OFF
        return outcome._replace(
            sent=messages.sent,
            received=messages.received,
            trailers=await self._trailers_of(rpc) if self._trailers else (),
        )

    @abstractmethod
    def _open(self, payload: Payload, messages: _Messages) -> _Rpc: ...

    @abstractmethod
    async def _carry_on(self, rpc: _Rpc, payload: Payload, messages: _Messages) -> Outcome:
        """Do what is to be done until the end.

        Raises:
            AioRpcError: The call has failed.
            CancelledError: It was cut off.
            DataError: The data does not make a message of the stream.
        """

    async def _trailers_of(self, rpc: _Rpc) -> Sequence[tuple[str, str]]:
        return [
            (name, base64.b64encode(value).decode() if isinstance(value, bytes) else value)
            for name, value in await rpc.trailing_metadata()
            if name in self._trailers
        ]


class _SendingOne(_Maker):
    def _open(self, payload: Payload, messages: _Messages) -> _Rpc:
        messages.sent = 1
        return self._begin(
            payload.messages[0], timeout=self._timeout, metadata=payload.metadata or None
        )


class _SendingMany(_Maker):
    def _open(self, payload: Payload, messages: _Messages) -> _Rpc:
        del messages
        return self._begin(timeout=self._timeout, metadata=payload.metadata or None)

    async def _send(self, rpc: _Rpc, payload: Payload, messages: _Messages) -> None:
        """Send what there is, and say that it was all; stop when the call ends before."""
        over = asyncio.Event()
        rpc.add_done_callback(lambda _: over.set())
        until = time.monotonic() + (self._stream.duration or math.inf)
        try:
            for message in self._messages(payload):
                if messages.sent and self._stream.interval:
                    pause = min(self._stream.interval, until - time.monotonic())
                    with suppress(TimeoutError):
                        await asyncio.wait_for(over.wait(), max(pause, 0))
                if over.is_set() or time.monotonic() >= until:
                    break
                await rpc.write(message)
                messages.sent += 1
            await rpc.done_writing()
        except (AioRpcError, asyncio.InvalidStateError):
            # The server has ended the call. How, is told when it is awaited.
            return
        except BaseException:
            rpc.cancel()
            raise

    def _messages(self, payload: Payload) -> Iterator[bytes]:
        length = len(payload.messages)
        # As often as wanted from the first on again; nothing, if there is none.
        indexes = islice(cycle(range(length)), self._stream.count or length)
        if payload.regenerate is None:
            return (payload.messages[index] for index in indexes)
        return map(payload.regenerate, indexes)


class _UnaryWithTrailers(_SendingOne):
    async def _carry_on(self, rpc: _Rpc, payload: Payload, messages: _Messages) -> Outcome:
        del payload
        await rpc
        messages.received = 1
        return ANSWERED


class _ServerStream(_SendingOne):
    async def _carry_on(self, rpc: _Rpc, payload: Payload, messages: _Messages) -> Outcome:
        del payload
        ended_here = False

        def end() -> None:
            nonlocal ended_here
            ended_here = True
            rpc.cancel()

        seconds = self._stream.duration
        over = asyncio.get_running_loop().call_later(seconds, end) if seconds else None
        try:
            async for _ in rpc:
                messages.received += 1
                if messages.received == self._stream.count:
                    end()
        except asyncio.CancelledError:
            if ended_here:
                return CANCELLED
            raise
        finally:
            if over:
                over.cancel()
        return ANSWERED


class _ClientStream(_SendingMany):
    async def _carry_on(self, rpc: _Rpc, payload: Payload, messages: _Messages) -> Outcome:
        await self._send(rpc, payload, messages)
        await rpc
        messages.received = 1
        return ANSWERED


class _BidiStream(_SendingMany):
    async def _carry_on(self, rpc: _Rpc, payload: Payload, messages: _Messages) -> Outcome:
        sending = asyncio.create_task(self._send(rpc, payload, messages))
        try:
            async for _ in rpc:
                messages.received += 1
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
