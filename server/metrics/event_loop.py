"""How late the event loop is."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

_INTERVAL: Final = 0.1
"""Seconds from one sample to the next."""


@asynccontextmanager
async def sampled_lag(observe: Callable[[float], None]) -> AsyncIterator[None]:
    """While the body runs, tell several times a second how late the event loop is.

    Args:
        observe: Is given the seconds that a timer fired after its time.
    """
    task = asyncio.create_task(_sample(observe))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sample(observe: Callable[[float], None]) -> None:
    while True:
        # Not the loop's own clock, which stands still while a callback runs.
        due = time.monotonic() + _INTERVAL
        await asyncio.sleep(_INTERVAL)
        observe(max(0.0, time.monotonic() - due))
