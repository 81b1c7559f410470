"""Makes calls of all kinds, each from its beginning to its end."""

import asyncio
import base64
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, cycle, islice
from typing import Any, Final, Protocol, TypeAlias

import grpc.aio
from grpc.aio import AioRpcError

from load.calls import Call, Kind, Payload
from load.engine.ledger import Ledger
from load.engine.outcomes import CANCELLED, CUT_OFF, OK, Outcome, outcome_of

_Style: TypeAlias = Any
_Rpc: TypeAlias = Any
"""What begins calls, and a call: the types of grpc.aio know nothing of those without serializers."""


class Maker(Protocol):
    """Makes one call of the job again and again, on one connection."""

    async def make(self, payload: Payload) -> Outcome:
        """Make the call, and return how it ended.

        Raises:
            DataError: The data does not make a message of the stream.
        """


class _Maker(ABC):
    """What makers of all kinds share."""

    def __init__(
        self, method: _Style, index: int, call: Call, trailers: Sequence[str], ledger: Ledger
    ) -> None:
        self._method = method
        self._index = index
        self._timeout = call.timeout or None
        self._stream = call.stream
        self._trailers = trailers
        self._ledger = ledger

    async def make(self, payload: Payload) -> Outcome:
        """Make the call, and return how it ended."""
        rpc = self._begin(payload)
        try:
            outcome = await self._carry_on(rpc, payload)
        except AioRpcError as error:
            if self._trailers:
                self._count(error.trailing_metadata() or ())
            return outcome_of(error)
        except asyncio.CancelledError:
            # Nobody cancels a worker: it was the connection that was closed.
            return CUT_OFF
        if self._trailers:
            self._count(await rpc.trailing_metadata())
        return outcome

    @abstractmethod
    def _begin(self, payload: Payload) -> _Rpc: ...

    @abstractmethod
    async def _carry_on(self, rpc: _Rpc, payload: Payload) -> Outcome:
        """Do what is to be done until the end.

        Raises:
            AioRpcError: The call has failed.
            CancelledError: It was cut off.
        """

    def _count(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        for name, value in metadata:
            if name in self._trailers:
                text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
                self._ledger.count_trailer(self._index, name, text)


class _SendingOne(_Maker):
    def _begin(self, payload: Payload) -> _Rpc:
        self._ledger.messages_sent += 1
        return self._method(
            payload.messages[0], timeout=self._timeout, metadata=payload.metadata or None
        )


class _SendingMany(_Maker):
    def _begin(self, payload: Payload) -> _Rpc:
        return self._method(timeout=self._timeout, metadata=payload.metadata or None)

    async def _send(self, rpc: _Rpc, payload: Payload) -> None:
        """Send what there is, and say that it was all; stop when the call ends before."""
        over = asyncio.get_running_loop().create_future()
        rpc.add_done_callback(over.set_result)
        until = time.monotonic() + (self._stream.duration or math.inf)
        try:
            for index, message in enumerate(self._messages(payload)):
                if index and self._stream.interval:
                    pause = min(self._stream.interval, until - time.monotonic())
                    await asyncio.wait((over,), timeout=max(pause, 0))
                if over.done() or time.monotonic() >= until:
                    break
                await rpc.write(message)
                self._ledger.messages_sent += 1
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


class _Unary(_SendingOne):
    async def _carry_on(self, rpc: _Rpc, payload: Payload) -> Outcome:
        del payload
        await rpc
        self._ledger.messages_received += 1
        return OK


class _ServerStream(_SendingOne):
    async def _carry_on(self, rpc: _Rpc, payload: Payload) -> Outcome:
        del payload
        ended_here = False

        def end() -> None:
            nonlocal ended_here
            ended_here = True
            rpc.cancel()

        seconds = self._stream.duration
        over = asyncio.get_running_loop().call_later(seconds, end) if seconds else None
        received = count(1)
        try:
            async for _ in rpc:
                self._ledger.messages_received += 1
                if next(received) == self._stream.count:
                    end()
        except asyncio.CancelledError:
            if ended_here:
                return CANCELLED
            raise
        finally:
            if over:
                over.cancel()
        return OK


class _ClientStream(_SendingMany):
    async def _carry_on(self, rpc: _Rpc, payload: Payload) -> Outcome:
        await self._send(rpc, payload)
        await rpc
        self._ledger.messages_received += 1
        return OK


class _BidiStream(_SendingMany):
    async def _carry_on(self, rpc: _Rpc, payload: Payload) -> Outcome:
        sending = asyncio.create_task(self._send(rpc, payload))
        try:
            async for _ in rpc:
                self._ledger.messages_received += 1
        finally:
            # It ends with the call. What it says of that is said above; what is wrong with the
            # data, only here.
            await asyncio.wait((sending,))
            if not sending.cancelled() and (error := sending.exception()):
                raise error
        return OK


_MAKERS: Final[Mapping[Kind, tuple[str, Callable[..., Maker]]]] = {
    Kind.UNARY: ("unary_unary", _Unary),
    Kind.SERVER_STREAM: ("unary_stream", _ServerStream),
    Kind.CLIENT_STREAM: ("stream_unary", _ClientStream),
    Kind.BIDI_STREAM: ("stream_stream", _BidiStream),
}


def maker_of(
    channel: grpc.aio.Channel, index: int, call: Call, trailers: Sequence[str], ledger: Ledger
) -> Maker:
    """Return what makes the call with this index on this connection.

    Messages, and the values of these trailers, are counted in the ledger.
    """
    style, maker = _MAKERS[call.method.kind]
    return maker(getattr(channel, style)(call.method.path), index, call, trailers, ledger)
