"""A process that generates load."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

import uvloop

from load.engine.connections import connect, disconnect
from load.engine.messages import Begin, Connected, Share, Unreachable
from load.engine.numbering import Numbers
from load.engine.running import Run
from load.engine.telling import Teller
from load.errors import TargetError
from load.jobs import Job

_NURSERY: Final = 10_000
"""After how many more objects than before Python looks for garbage.

The calls in flight are more than it waits for by default, so that it would look again and again,
and find nothing: that takes 3 % of the time.
"""


def generate_share(
    job: Job, share: Share, numbers: Numbers, warming: Numbers, pipe: "Connection[Any, Any]"
) -> None:
    """Do this process's share of a job, as it is told through the pipe.

    Ctrl-C reaches all processes of a terminal. What comes of it, the one that started this decides.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvloop.run(_generate(job, share, numbers, warming, pipe))


async def _generate(
    job: Job, share: Share, numbers: Numbers, warming: Numbers, pipe: "Connection[Any, Any]"
) -> None:
    teller = Teller(pipe)
    orders = _Orders(pipe)
    try:
        channels = await connect(job.target, len(share.own()))
    except TargetError as error:
        teller.tell(Unreachable(str(error)))
    else:
        # What is there now, stays: looking through it for garbage would keep calls waiting.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_NURSERY)
        teller.tell(Connected())
        run = Run(job, share, channels, numbers, warming, at=await orders.begin)
        orders.on_halt(run.halt)
        teller.tell(await run.make(teller.tell))
        await disconnect(channels)
    teller.finish()


class _Orders:
    """What this process is told to do."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe
        loop = asyncio.get_running_loop()
        self.begin: asyncio.Future[int] = loop.create_future()
        """When to begin."""
        self._halt: asyncio.Future[None] = loop.create_future()
        loop.add_reader(pipe.fileno(), self._hear)

    def on_halt(self, halt: Callable[[], None]) -> None:
        """Have this called when it is time to stop, or has been already."""
        self._halt.add_done_callback(lambda _: halt())

    def _hear(self) -> None:
        try:
            order = self._pipe.recv()
        except (EOFError, OSError):
            # Whoever started this process has died: nobody would ever stop it.
            os._exit(1)
        if isinstance(order, Begin):
            self.begin.set_result(order.at)
        else:
            self._halt.set_result(None)
