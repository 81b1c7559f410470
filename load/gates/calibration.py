"""How fast this machine is just now, to compare runs of different days by.

A machine that is shared is faster on one day than on another. What a run has reached, divided by
what a bare echo reached just before, leaves most of that out.
"""

import asyncio
import multiprocessing
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import grpc
import uvloop

from load.errors import LoadError
from load.report import wording

_SERVICE: Final = "patron.load.Calibration"
_METHOD: Final = "Echo"
_MESSAGE: Final = bytes(64)
_TASKS: Final = 32
_WARM_UP: Final = 0.25
_PARTS: Final = 5
_PART: Final = 0.2
_UNSTEADY: Final = 1.5
"""So many times the slowest part is the fastest, on a machine that does something else."""
_PATIENCE: Final = 60
"""Seconds, for a machine that is very busy."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How many calls per second a bare echo reached in each part of a second."""

    parts: Sequence[float]

    @property
    def rate(self) -> float:
        """The most of them: whatever else the machine does only ever takes away from that."""
        return max(self.parts)

    @property
    def warning(self) -> str:
        """What keeps runs from being compared by it; empty: nothing."""
        if self.rate < _UNSTEADY * min(self.parts):
            return ""
        low, high = (wording.number(round(part)) for part in (min(self.parts), self.rate))
        return (
            "This machine was busy with something else when it was calibrated: a bare echo reached"
            f" from {low} to {high} calls/s. Comparisons of this run with others mean little."
        )


def calibrate() -> Calibration:
    """Return what a bare grpc.aio client reaches with a bare server, on loopback.

    Each is a process of its own, without serializers. It takes about three seconds, of which one
    is measured.

    Raises:
        LoadError: One of the processes failed; it has said why.
    """
    with _child(_serve) as server:
        port = _told(server)
        with _child(_measure) as client:
            client.send(port)
            parts: Sequence[float] = _told(client)
            return Calibration(parts)


@contextmanager
def _child(main: Callable[[Connection], None]) -> Iterator[Connection]:
    """Lend a process by the connection to it; after that it is ended."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=main, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.terminate()
        process.join()


def _told(child: Connection) -> Any:  # noqa: ANN401 - what the child has sent.
    try:
        if child.poll(_PATIENCE):
            return child.recv()
    except EOFError:
        pass
    raise LoadError("this machine could not be calibrated: the echo did not answer")


def _serve(parent: Connection) -> None:
    _run(_served(parent))


def _measure(parent: Connection) -> None:
    _run(_measured(parent))


def _run(main: Coroutine[Any, Any, None]) -> None:
    # Ctrl-C reaches every process of the terminal; the one that was started by hand ends these.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvloop.run(main)


async def _served(parent: Connection) -> None:
    async def echo(request: bytes, _: object) -> bytes:
        return request

    server = grpc.aio.server()
    methods: dict[str, Any] = {_METHOD: grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    parent.send(port)
    # It is ready to be read from when the parent has gone, however that came about.
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(parent.fileno(), closed.set)
    await closed.wait()
    await server.stop(None)


async def _measured(parent: Connection) -> None:
    port = parent.recv()
    done = 0
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        echo: Any = channel.unary_unary(f"/{_SERVICE}/{_METHOD}")

        async def calls() -> None:
            nonlocal done
            while True:
                await echo(_MESSAGE)
                done += 1

        tasks = [asyncio.create_task(calls()) for _ in range(_TASKS)]
        await asyncio.sleep(_WARM_UP)
        rates = []
        for _ in range(_PARTS):
            before, since = done, time.perf_counter()
            await asyncio.sleep(_PART)
            rates.append((done - before) / (time.perf_counter() - since))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    parent.send(rates)
