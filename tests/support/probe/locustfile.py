"""Users of locust that call the probe in every way; tests run some of them.

With `CALLS_FOLDER`, each process writes there, to a file of its own, how long each call took.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import gevent
from locust import constant, events, task
from locust.exception import StopUser

from load.locust_plugin import GrpcUser, constant_pacing
from tests.support.probe.contract import message_class

_EchoRequest = message_class("EchoRequest")
_RepeatRequest = message_class("RepeatRequest")


class ProbeStub:
    """As `grpcio-tools` would generate it."""

    def __init__(self, channel: Any) -> None:
        def method(make: Any, name: str, answer: str) -> Any:
            return make(
                f"/probe.v1.Probe/{name}",
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
    stub: ProbeStub


class Mixed(ProbeUser):
    """Calls in all four ways, to the end or not."""

    metadata = {"tenant": "t1"}  # noqa: RUF012 - as a configuration has it.

    @task(4)
    def echo(self) -> None:
        assert self.stub.Echo(_EchoRequest(name="ada")).request.name == "ada"

    @task
    def raw(self) -> None:
        echo = self.channel.unary_unary("probe.v1.Probe/Echo")
        assert b"raw" in echo(_EchoRequest(name="raw").SerializeToString())

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
        for _ in self.stub.Repeat(_endless()):
            break


class TooLate(ProbeUser):
    """Waits for an answer that takes too long."""

    wait_time = constant(100)
    timeout = "2s"

    @task
    def take(self) -> None:
        list(self.stub.Repeat(_endless()))


class CutOff(ProbeUser):
    """Is stopped while it is answered, or looks away from a stream."""

    wait_time = constant(100)
    duration_stop: ClassVar[str | None] = "close"

    @task
    def take(self) -> None:
        list(self.stub.Repeat(_endless()))

    @task
    def hold(self) -> None:
        stream = self.stub.Repeat(_endless())
        next(stream)
        gevent.sleep(100)


class CutOffInSilence(CutOff):
    """The same, but nobody is to know."""

    duration_stop = GrpcUser.duration_stop


class HasEnough(ProbeUser):
    """Breaks a stream off, and stops before anything else can run."""

    @task
    def take(self) -> None:
        for _ in self.stub.Repeat(_endless()):
            break
        raise StopUser


class Paced(ProbeUser):
    """Calls a hundred times a second, whatever happens."""

    wait_time = constant_pacing(0.01)

    @task
    def echo(self) -> None:
        self.stub.Echo(_EchoRequest(name="ada"))


def _endless() -> Any:
    return _RepeatRequest(messages=1_000_000, interval_milliseconds=5)


def _requests(count: int) -> Iterator[Any]:
    for _ in range(count):
        gevent.sleep(0.001)
        yield _EchoRequest(name="ada")


if "CALLS_FOLDER" in os.environ:

    def _write(name: str, response_time: float, exception: Exception | None, **_: Any) -> None:
        path = Path(os.environ["CALLS_FOLDER"], f"{os.getpid()}.txt")
        with path.open("a") as file:
            file.write(f"{name} {response_time!r} {exception is None}\n")

    events.request.add_listener(_write)
