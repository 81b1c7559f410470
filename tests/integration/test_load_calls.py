"""Calls are made as the job says, and counted by how they ended: on a server of known behaviour."""

import asyncio
import statistics
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from load.calls import Source, Stream
from load.engine.running import Run
from load.jobs import Ramp, Shape, Stop
from tests.support.calm import tries
from tests.support.load_jobs import (
    Broken,
    Failing,
    FailingLater,
    Numbered,
    Regenerated,
    Same,
    call_of,
    job_of,
    message,
    run_here,
)
from tests.support.probe import Probe, probe_server

_LATE = "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
_CANCELLED = "rpc error: code = Canceled desc = context canceled"
_STREAM_CUT_OFF = "rpc error: code = Canceled desc = grpc: the client connection is closing"
_CUT_OFF = (
    "rpc error: code = Unavailable desc = "
    "error reading from server: use of closed network connection"
)

SECONDS = 10


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    """Lend a server that answers at once."""
    with probe_server() as server:
        yield server


@pytest.fixture(scope="module")
def slow() -> Iterator[Probe]:
    """Lend a server that takes 0.2 seconds for everything."""
    with probe_server("--delay", "0.2") as server:
        yield server


async def test_a_known_delay_is_measured(slow: Probe) -> None:
    """What each call takes is what is measured; without a schedule there is one clock."""
    for calm in tries(5):
        result = await run_here(job_of(slow.target, workers=4, total=12, connections=2))
        assert result.statuses == {"OK": 12}
        assert min(result.service) >= 0.2
        assert result.response == result.service
        assert result.end.reason == "normal"
        assert result.end.seconds >= 0.6
        with calm:
            assert min(result.service) < 0.204
            assert statistics.median(result.service) < 0.22
            assert result.end.seconds < 0.72
            assert result.end.busy < 0.5


async def test_every_tenth_fails() -> None:
    """Failures are counted by their status, with the words of Go."""
    with probe_server("--fail-every", "10") as server:
        result = await run_here(job_of(server.target, workers=5, total=200))
        assert result.statuses == {"OK": 180, "Unavailable": 20}
        assert result.errors == {"rpc error: code = Unavailable desc = as it was told to": 20}
        assert result.end.messages_sent == 200
        assert result.end.messages_received == 180
        assert server.calls() == {"Echo OK": 180, "Echo UNAVAILABLE": 20}


async def test_a_stall_hides_from_the_first_clock_only() -> None:
    """While a server stalls, few calls are in flight, but many were meant to be."""
    for calm in tries():
        with probe_server("--stall-at", "30", "--stall", "1") as server:
            job = job_of(server.target, workers=4, rate=Ramp(start=100), total=160)
            result = await run_here(job)
        assert result.statuses == {"OK": 160}
        assert max(result.service) > 0.99
        assert sum(seconds > 0.3 for seconds in result.response) >= 50
        assert all(map(float.__le__, result.service, result.response))
        assert result.end.dropped == 0
        with calm:
            assert sum(seconds > 0.3 for seconds in result.service) <= 4
            assert sum(seconds > 0.3 for seconds in result.response) <= 90
            assert max(result.response) < 1.1


async def test_calls_that_could_not_be_begun_are_dropped(slow: Probe) -> None:
    """What one worker cannot begin in the time is told: with the calls made, all that were due."""
    job = job_of(slow.target, rate=Ramp(start=200), duration=0.5, stop=Stop.WAIT)
    for calm in tries():
        result = await run_here(job)
        assert result.count <= 3
        # The 100th is due when the time is over.
        assert result.count + result.end.dropped == 99
        with calm:
            assert result.count == 3


@pytest.mark.parametrize(
    "stop, statuses",
    [
        (Stop.CLOSE, {"OK": 4, "Unavailable": 4}),
        (Stop.WAIT, {"OK": 8}),
        (Stop.IGNORE, {"OK": 4}),
    ],
)
async def test_calls_in_flight_when_the_time_is_over(
    slow: Probe, stop: Stop, statuses: dict[str, int]
) -> None:
    """They are cut off and counted as Unavailable, waited for, or not counted."""
    job = job_of(slow.target, workers=4, duration=0.3, stop=stop, connections=2)
    for calm in tries():
        result = await run_here(job)
        assert result.end.reason == "timeout"
        assert result.errors == ({_CUT_OFF: 4} if stop is Stop.CLOSE else {})
        assert result.end.seconds >= 0.3
        with calm:
            assert result.statuses == statuses
            assert result.end.seconds == pytest.approx(0.4 if stop is Stop.WAIT else 0.3, abs=0.08)


async def test_the_last_calls_in_flight_when_the_time_is_over(slow: Probe) -> None:
    """The time is over for the last calls too, when all have been begun."""
    result = await run_here(job_of(slow.target, workers=3, total=3, duration=0.1))
    assert result.errors == {_CUT_OFF: 3}
    assert result.end.reason == "timeout"


async def test_a_call_that_is_due_when_the_time_is_over_is_not_made(probe: Probe) -> None:
    """It would be cut off at once, and nobody could have answered it."""
    job = job_of(probe.target, workers=2, rate=Ramp(start=20), duration=0.5)
    for calm in tries():
        result = await run_here(job)
        assert result.count + result.end.dropped == 9
        assert result.end.reason == "timeout"
        with calm:
            assert result.statuses == {"OK": 9}


async def test_calls_that_take_too_long_are_given_up(slow: Probe) -> None:
    """They are late in the words of Go, as soon as their time is over."""
    call = call_of(timeout=0.05)
    for calm in tries():
        result = await run_here(job_of(slow.target, call, workers=2, total=2))
        assert result.errors == {_LATE: 2}
        with calm:
            assert max(result.service) < 0.15


async def test_nobody_waits_for_answers(slow: Probe) -> None:
    """Asynchronous calls begin by the schedule, however few the workers are."""
    job = job_of(slow.target, rate=Ramp(start=200), total=60, asynchronous=True)
    for calm in tries():
        result = await run_here(job)
        assert result.statuses == {"OK": 60}
        assert result.end.seconds >= 0.5
        with calm:
            assert result.end.seconds < 1


async def test_a_warm_up_counts_for_nothing(probe: Probe) -> None:
    """Calls of the warm-up are made and not counted; those that count are numbered from 0."""
    before = sum(probe.calls().values())
    job = job_of(probe.target, call_of(source=Numbered()), warm_up=0.3, total=20)
    result = await run_here(job)
    assert result.count == result.end.messages_sent == 20
    made = sum(probe.calls().values()) - before
    assert made > 20
    seen = [one.request.big_number for one in probe.tell().seen][-made:]
    assert seen[-20:] == [*range(20)]
    assert min(seen[:-20]) >= 1_000_000_000


async def test_workers_come_and_go(slow: Probe) -> None:
    """Who comes is numbered on; who came first leaves first, after the call it is making."""
    workers = Ramp(Shape.STEP, start=3, step=-1, step_duration=0.27, end=1)
    job = job_of(
        slow.target,
        call_of(source=Numbered()),
        workers=workers,
        duration=0.7,
        stop=Stop.WAIT,
        connections=2,
        name="run",
    )
    for calm in tries():
        result = await run_here(job)
        seen = [one.request.name for one in slow.tell().seen][-result.count :]
        assert set(seen) == {"run:g0c0", "run:g1c1", "run:g2c0"}
        with calm:
            assert Counter(seen) == {"run:g0c0": 2, "run:g1c1": 3, "run:g2c0": 4}


async def test_users_pause(slow: Probe) -> None:
    """A user makes the next call after a pause, whenever the last one has ended."""
    job = job_of(slow.target, workers=2, pause=(0.1, 0.1), total=4)
    for calm in tries():
        result = await run_here(job)
        assert result.count == 4
        assert result.end.seconds >= 0.5
        with calm:
            # The pause before the first call is a part of one.
            assert result.end.seconds < 0.8
            assert max(result.response) < 0.3


async def test_users_who_are_kept_waiting_fall_behind(slow: Probe) -> None:
    """Who means to call every 0.1 s and waits for 0.2 is later each time, says the second clock."""
    job = job_of(slow.target, workers=1, every=0.1, duration=0.7, stop=Stop.WAIT)
    for calm in tries():
        result = await run_here(job)
        assert result.count + result.end.dropped == 7
        assert all(seconds > 0.19 + 0.1 * n for n, seconds in enumerate(result.response))
        with calm:
            assert result.response == pytest.approx([0.2, 0.3, 0.4, 0.5], abs=0.05)


@pytest.mark.parametrize(
    "method, source, stream, status, sent, received",
    [
        ("Collect", [b"", b"", b""], Stream(), "OK", 3, 1),
        ("Collect", [b"", b"", b""], Stream(count=2), "OK", 2, 1),
        ("Collect", [b"", b"", b""], Stream(count=7), "OK", 7, 1),
        ("Collect", [], Stream(count=2), "OK", 0, 1),
        ("Repeat", 5, Stream(), "OK", 1, 5),
        ("Repeat", 500, Stream(), "OK", 1, 500),
        ("Repeat", 5, Stream(count=3), "Canceled", 1, 3),
        ("Repeat", 5, Stream(count=5), "Canceled", 1, 5),
        ("Repeat", 5, Stream(count=9), "OK", 1, 5),
        ("Chat", [b"", b"", b""], Stream(), "OK", 3, 3),
        ("Chat", [b"", b"", b""], Stream(count=200), "OK", 200, 200),
    ],
)
async def test_streams(
    *,
    probe: Probe,
    method: str,
    source: list[bytes] | int,
    stream: Stream,
    status: str,
    sent: int,
    received: int,
) -> None:
    """A stream ends after its messages or count; a server's that is cut short is Canceled."""
    messages = source if isinstance(source, list) else [message("RepeatRequest", messages=source)]
    call = call_of(method, Same(messages), stream=stream)
    result = await run_here(job_of(probe.target, call, total=1))
    assert result.statuses == {status: 1}
    assert result.errors == ({_CANCELLED: 1} if status == "Canceled" else {})
    assert (result.end.messages_sent, result.end.messages_received) == (sent, received)


@pytest.mark.parametrize("method, received", [("Collect", 1), ("Chat", 2)])
async def test_streams_of_a_client_that_time_ends(probe: Probe, method: str, received: int) -> None:
    """Nothing is sent after its time, and the call ends as if that had been all."""
    call = call_of(method, Same([b""] * 3), stream=Stream(interval=0.1, duration=0.15))
    for calm in tries():
        result = await run_here(job_of(probe.target, call, total=1))
        assert result.statuses == {"OK": 1}
        assert result.end.messages_sent <= 2
        assert result.service[0] > 0.149
        with calm:
            assert (result.end.messages_sent, result.end.messages_received) == (2, received)


async def test_messages_of_a_stream_are_made_when_they_are_sent(probe: Probe) -> None:
    """Dynamic messages are made one by one, from the first on again, with a pause between them."""
    call = call_of("Chat", Regenerated(), stream=Stream(interval=0.05, count=3))
    for calm in tries():
        result = await run_here(job_of(probe.target, call, total=1))
        assert result.end.messages_received == 3
        assert result.service[0] >= 0.1
        with calm:
            assert result.service[0] < 0.15


async def test_streams_that_time_ends(probe: Probe) -> None:
    """A server's stream is cut short after its time, even while nothing comes; all have a limit."""
    silent = Same([message("RepeatRequest", messages=2, interval_milliseconds=5000)])
    short = call_of("Repeat", silent, stream=Stream(duration=0.1))
    late = call_of("Repeat", silent, timeout=0.1)
    waiting = call_of("Chat", Same([b"", b""]), timeout=0.1, stream=Stream(interval=5))
    for calm in tries():
        result = await run_here(job_of(probe.target, short, late, waiting, workers=3, total=3))
        assert result.errors == {_CANCELLED: 1, _LATE: 2}
        with calm:
            assert max(result.service) < 0.5


@pytest.mark.parametrize("method", ["Collect", "Chat", "Repeat"])
async def test_streams_that_fail(method: str) -> None:
    """A stream that the server ends early ends with what the server says, not with its messages."""
    with probe_server("--fail-every", "1", "--code", "ABORTED") as server:
        call = call_of(method, Same([b""] * 50), stream=Stream(count=1000))
        result = await run_here(job_of(server.target, call, total=30, workers=3))
    assert result.errors == {"rpc error: code = Aborted desc = as it was told to": 30}


async def test_streams_in_flight_when_the_time_is_over(probe: Probe) -> None:
    """Streams are cut off like any other call; Go has another status for them."""
    calls = [
        call_of("Repeat", Same([message("RepeatRequest", messages=2, interval_milliseconds=5000)])),
        call_of("Collect", Same([b"", b""]), stream=Stream(interval=5)),
        call_of("Chat", Same([b"", b""]), stream=Stream(interval=5)),
    ]
    for calm in tries():
        result = await run_here(job_of(probe.target, *calls, workers=3, duration=0.3))
        assert result.errors == {_STREAM_CUT_OFF: 3}
        with calm:
            assert result.end.seconds < 1


async def test_calls_of_several_kinds(probe: Probe) -> None:
    """Each call has its share; values of trailers are counted by call."""
    calls = [call_of(weight=3), call_of("Collect", Same([b""]), weight=1)]
    job = job_of(probe.target, *calls, total=40, workers=3, trailers=["Probe-Answer", "other"])
    result = await run_here(job)
    assert result.calls == {0: 30, 1: 10}
    assert result.trailers == {(0, "probe-answer", "echo"): 30}


async def test_metadata_is_sent(probe: Probe) -> None:
    """Metadata goes with the call, text and bytes."""
    source = Same(metadata=(("who", "me"), ("what-bin", b"\x00\xff")))
    await run_here(job_of(probe.target, call_of(source=source), total=1))
    metadata = probe.tell().seen[-1].metadata
    assert metadata["who"] == "me"
    assert metadata["what-bin"] == "AP8="


async def test_data_that_makes_no_message_ends_the_run(probe: Probe) -> None:
    """What keeps a run from going on is told, with what was done before."""
    result = await run_here(job_of(probe.target, call_of(source=Broken()), total=10))
    assert result.count == 3
    assert result.end.failure == "no message can be made of it"


@pytest.mark.parametrize(
    "method, source, pace",
    [
        ("Echo", Failing(), {}),
        ("Echo", Failing(), {"rate": Ramp(start=300)}),
        ("Echo", Failing(), {"rate": Ramp(start=300), "asynchronous": True}),
        ("Echo", Failing(), {"pause": (0.001, 0.002)}),
        ("Chat", FailingLater(), {}),
        ("Chat", FailingLater(), {"rate": Ramp(start=300), "asynchronous": True}),
    ],
)
async def test_what_nobody_foresees_ends_the_run(
    probe: Probe, method: str, source: Source, pace: dict[str, Any]
) -> None:
    """For all workers, also in a run that would never end; it is told with its type."""
    job = job_of(probe.target, call_of(method, source), workers=4, **pace)
    async with asyncio.timeout(SECONDS):
        result = await run_here(job)
    assert result.count >= 20 - 4
    assert set(result.statuses) == {"OK"}
    assert result.end.failure == "ValueError: not this one"


def _module_of(task: "asyncio.Task[Any]") -> str:
    frame = getattr(task.get_coro(), "cr_frame", None)
    return str(frame.f_globals.get("__name__", "")) if frame else ""


@pytest.mark.parametrize(
    "method, stream",
    [
        ("Echo", Stream()),
        ("Repeat", Stream()),
        ("Collect", Stream(interval=20)),
        ("Chat", Stream(interval=20)),
    ],
)
async def test_workers_that_are_cancelled_go(probe: Probe, method: str, stream: Stream) -> None:
    """Who is cancelled makes no further call, although a closed connection looks the same."""
    silent = [message("RepeatRequest", messages=2, interval_milliseconds=20_000)]
    call = call_of(method, Same(silent if method == "Repeat" else [b"", b""]), stream=stream)
    job = job_of(probe.target, call, workers=3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await run_here(job)
    async with asyncio.timeout(5):
        # Closing streams and connections may take a moment.
        while any("load.engine" in _module_of(task) for task in asyncio.all_tasks()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_run_that_is_halted(slow: Probe) -> None:
    """A run that is halted ends as if its time were over, and says why."""

    def halt(run: Run) -> None:
        run.halt()

    result = await run_here(job_of(slow.target, total=1000), halt)
    assert (result.count, result.end.reason) == (0, "cancel")
