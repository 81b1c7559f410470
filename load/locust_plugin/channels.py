"""A channel whose calls are measured; generated stubs are made on it as on any other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from gevent import GreenletExit

from load.calls import Kind, Metadata
from load.locust_plugin.calls import Calls, ManyAnswers, OneAnswer, Sized, Starter
from load.locust_plugin.metering import Account, Meter
from load.targets.methods import parse_call

_Serializer: TypeAlias = Callable[[Any], bytes] | None
_Deserializer: TypeAlias = Callable[[bytes], Any] | None


@dataclass(frozen=True, slots=True)
class Defaults:
    """What calls have unless they say otherwise."""

    timeout: float | None
    """Seconds; None: never."""
    metadata: Metadata
    """Sent with each call, before its own."""


class MeasuredChannel:
    """The calls of one user, on a channel that others may use too: as much of one as stubs need.

    Methods are named as gRPC or ghz names them. Without serializers, messages are bytes.
    """

    def __init__(self, channel: grpc.Channel, meter: Meter, defaults: Defaults) -> None:
        self._channel = channel
        self._meter = meter
        self._defaults = defaults
        self._calls = Calls()

    def unary_unary(
        self,
        method: str,
        request_serializer: _Serializer = None,
        response_deserializer: _Deserializer = None,
        **options: object,
    ) -> OneAnswer:
        """Return a method that takes a message and returns one."""
        codec = (request_serializer, response_deserializer)
        call = self._inner(self._channel.unary_unary, method, codec, options)
        # gRPC's blocking calls hold a thread of gevent's pool each, and can't be told to stop.
        return OneAnswer(self._starter(Kind.UNARY, method, call.future))

    def stream_unary(
        self,
        method: str,
        request_serializer: _Serializer = None,
        response_deserializer: _Deserializer = None,
        **options: object,
    ) -> OneAnswer:
        """Return a method that takes any number of messages and returns one."""
        codec = (request_serializer, response_deserializer)
        call = self._inner(self._channel.stream_unary, method, codec, options)
        return OneAnswer(self._starter(Kind.CLIENT_STREAM, method, call.future))

    def unary_stream(
        self,
        method: str,
        request_serializer: _Serializer = None,
        response_deserializer: _Deserializer = None,
        **options: object,
    ) -> ManyAnswers:
        """Return a method that takes a message and returns a stream."""
        codec = (request_serializer, response_deserializer)
        call = self._inner(self._channel.unary_stream, method, codec, options)
        return ManyAnswers(self._starter(Kind.SERVER_STREAM, method, call))

    def stream_stream(
        self,
        method: str,
        request_serializer: _Serializer = None,
        response_deserializer: _Deserializer = None,
        **options: object,
    ) -> ManyAnswers:
        """Return a method that takes any number of messages and returns a stream."""
        codec = (request_serializer, response_deserializer)
        call = self._inner(self._channel.stream_stream, method, codec, options)
        return ManyAnswers(self._starter(Kind.BIDI_STREAM, method, call))

    def close(self, *, killed: bool) -> None:
        """Cut off the calls that have not ended. The channel beneath belongs to others too.

        Args:
            killed: Whether the user did not stop by itself. Then streams that nobody has any more
                may be gone because of that; else they have given all that was wanted.
        """
        if not killed:
            self._calls.break_off_abandoned()
        self._calls.give_up(GreenletExit())

    def _inner(
        self,
        make: Callable[..., Any],
        method: str,
        codec: tuple[_Serializer, _Deserializer],
        options: dict[str, object],
    ) -> Any:  # noqa: ANN401 - the four kinds have no type in common.
        service, name = _parsed(method)
        serializer, deserializer = codec
        return make(f"/{service}/{name}", serializer, _sized(deserializer), **options)

    def _starter(self, kind: Kind, method: str, start: Callable[..., Any]) -> Starter:
        name = ".".join(_parsed(method))
        return Starter(
            kind=kind,
            start=start,
            account=lambda: Account(self._meter, kind, name),
            options=self._options,
            calls=self._calls,
        )

    def _options(self, options: dict[str, object]) -> dict[str, object]:
        own: Any = options.get("metadata") or ()
        return {
            "timeout": self._defaults.timeout,
            **options,
            "metadata": (*self._defaults.metadata, *own),
        }


def _parsed(method: str) -> tuple[str, str]:
    return parse_call(method.removeprefix("/"))


def _sized(deserializer: _Deserializer) -> Callable[[bytes], Sized]:
    # Only here is it known how long a message was.
    if deserializer is None:
        return lambda message: (message, len(message))
    return lambda message: (deserializer(message), len(message))
