"""Jobs for the probe, and what comes of them."""

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from load.calls import Call, Kind, Method, Moment, Payload
from load.engine import generate
from load.engine.connections import connect, disconnect
from load.engine.messages import Share
from load.engine.numbering import Numbers
from load.engine.running import Run
from load.errors import DataError
from load.jobs import Job, Pace, Ramp, Target
from load.records import STATUSES, Chunk, Ended, Told
from tests.support.probe import SERVICE
from tests.support.probe.contract import descriptor_set, message_class

_KINDS = {
    "Echo": Kind.UNARY,
    "Collect": Kind.CLIENT_STREAM,
    "Repeat": Kind.SERVER_STREAM,
    "Chat": Kind.BIDI_STREAM,
}


def message(kind: str, **fields: Any) -> bytes:
    """Return a message of the probe, encoded."""
    encoded: bytes = message_class(kind)(**fields).SerializeToString()
    return encoded


@dataclass(frozen=True)
class Same:
    """Sends the same with every call."""

    messages: Sequence[bytes] = (message("EchoRequest", name="hello"),)
    metadata: tuple[tuple[str, str | bytes], ...] = ()

    def payload(self, moment: Moment) -> Payload:
        return Payload(self.messages, self.metadata)


class Numbered:
    """Sends the number of the call, and who makes it."""

    def payload(self, moment: Moment) -> Payload:
        return Payload((message("EchoRequest", big_number=moment.number, name=moment.worker),))


class Regenerated:
    """Sends messages with their index, made when they are sent."""

    def payload(self, moment: Moment) -> Payload:
        return Payload((b"", b""), regenerate=self._message)

    @staticmethod
    def _message(index: int) -> bytes:
        return message("EchoRequest", big_number=index)


class Broken:
    """Makes messages for some calls, and for no others."""

    def payload(self, moment: Moment) -> Payload:
        if moment.number >= 3:
            raise DataError("no message can be made of it")
        return Payload((b"",))


class Failing:
    """Makes messages for all calls but one, for which it raises what nobody foresees."""

    def payload(self, moment: Moment) -> Payload:
        if moment.number == 20:
            raise ValueError("not this one")
        return Payload((b"",))


class FailingLater(Regenerated):
    """The same while messages of the call are sent."""

    def payload(self, moment: Moment) -> Payload:
        if moment.number == 20:
            return Payload((b"", b""), regenerate=self._fail)
        return super().payload(moment)

    @staticmethod
    def _fail(index: int) -> bytes:
        raise ValueError("not this one")


def call_of(method: str = "Echo", source: Any = None, **options: Any) -> Call:
    """Return a call of the probe."""
    kind = _KINDS[method]
    details = Method(SERVICE, method, kind, "", "", descriptor_set())
    return Call(details, source or Same(), **options)


def job_of(target: str, *calls: Call, workers: float | Ramp = 1, **options: Any) -> Job:
    """Return a job; options are those of the job, and of its pace."""
    ramp = workers if isinstance(workers, Ramp) else Ramp(start=workers)
    others = {
        name: options.pop(name)
        for name in ("name", "connections", "processes", "trailers")
        if name in options
    }
    return Job(Target(target, None), calls or (call_of(),), Pace(ramp, **options), **others)


@dataclass
class Result:
    """What was told, added up."""

    ends: list[Ended] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    calls: Counter[int] = field(default_factory=Counter)
    trailers: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    ended: list[int] = field(default_factory=list)
    service: list[float] = field(default_factory=list)
    """In seconds."""
    response: list[float] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.service)

    @property
    def end(self) -> Ended:
        """How the only process ended."""
        (end,) = self.ends
        return end

    def add(self, chunk: Chunk, texts: list[str]) -> None:
        texts += chunk.new_errors
        self.statuses.update(STATUSES[number] for number in chunk.status)
        self.errors.update(texts[index] for index in chunk.error if index >= 0)
        self.calls.update(chunk.call)
        self.trailers.update(chunk.trailers)
        self.ended += chunk.ended
        self.service += [nanoseconds / 1e9 for nanoseconds in chunk.service]
        self.response += [nanoseconds / 1e9 for nanoseconds in chunk.response]


def result_of(told: Iterable[Told]) -> Result:
    """Return what is told in the end."""
    result = Result()
    texts: dict[int, list[str]] = {}
    for one in told:
        if isinstance(one.what, Chunk):
            result.add(one.what, texts.setdefault(one.process, []))
        else:
            result.ends.append(one.what)
    return result


def run_job(job: Job) -> Result:
    """Do a job with processes of its own."""
    return result_of(generate(job, cancel=threading.Event()))


async def run_here(job: Job, meanwhile: Callable[[Run], object] = lambda _: None) -> Result:
    """Do a job in this process, which is faster to begin with."""
    context = multiprocessing.get_context("spawn")
    numbers, warming = Numbers(context, job.pace.total), Numbers(context, None)
    share = Share(0, 1, job.connections)
    channels = await connect(job.target, job.connections)
    run = Run(job, share, channels, numbers, warming, at=time.monotonic_ns())
    meanwhile(run)
    told: list[Told] = []
    end = await run.make(lambda chunk: told.append(Told(0, chunk)))
    await disconnect(channels)
    return result_of([*told, Told(0, end)])


def one_call(host: str) -> Job:
    """Return the job of calling a method that no server has a hundred times."""
    method = Method("shop.v1.Orders", "GetOrder", Kind.UNARY, "shop.v1.A", "shop.v1.B", b"")
    return Job(
        target=Target(host, None, authority="shop"),
        calls=[Call(method, Same((b"",)))],
        pace=Pace(workers=Ramp(start=10), total=100),
    )
