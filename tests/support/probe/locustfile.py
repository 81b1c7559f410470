"""Users of locust that call the probe in every way: locust runs them in tests."""

from collections.abc import Iterator
from typing import Any

import gevent
from locust import task

from load.locust_plugin import GrpcUser
from tests.support.probe.contract import message_class

_PROBE = "/probe.v1.Probe"
_EchoRequest = message_class("EchoRequest")
_RepeatRequest = message_class("RepeatRequest")


class ProbeStub:
    """As `grpcio-tools` would generate it."""

    def __init__(self, channel: Any) -> None:
        def method(make: Any, name: str, answer: str) -> Any:
            return make(
                f"{_PROBE}/{name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=message_class(answer).FromString,
                _registered_method=True,
            )

        self.Echo = method(channel.unary_unary, "Echo", "EchoReply")
        self.Collect = method(channel.stream_unary, "Collect", "CollectReply")
        self.Repeat = method(channel.unary_stream, "Repeat", "EchoReply")
        self.Chat = method(channel.stream_stream, "Chat", "EchoReply")


class ProbeUser(GrpcUser):
    abstract = True
    stub_class = ProbeStub
    insecure = True
    metadata = {"tenant": "t1"}  # noqa: RUF012 - locust's way.


class Mixed(ProbeUser):
    """Calls in all four ways."""

    @task(4)
    def echo(self) -> None:
        assert self.stub.Echo(_EchoRequest(name="ada")).request.name == "ada"

    @task
    def by_name(self) -> None:
        message = _EchoRequest(name="raw").SerializeToString()
        assert b"raw" in self.channel.unary_unary("probe.v1.Probe/Echo")(message)

    @task
    def collect(self) -> None:
        assert self.stub.Collect(_requests(3)).messages == 3

    @task
    def repeat(self) -> None:
        assert len(list(self.stub.Repeat(_RepeatRequest(messages=5)))) == 5

    @task
    def chat(self) -> None:
        assert len(list(self.stub.Chat(_requests(4)))) == 4

    @task
    def break_off(self) -> None:
        for _ in self.stub.Repeat(_RepeatRequest(messages=1000, interval_milliseconds=1)):
            break


def _requests(count: int) -> Iterator[Any]:
    for _ in range(count):
        gevent.sleep(0.001)
        yield _EchoRequest(name="ada")
