"""Waiting for what has to be asked for."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[bool]], timeout: float = 10) -> None:  # noqa: ASYNC109
    """Ask until it is so."""
    async with asyncio.timeout(timeout):
        # Nothing tells of it: that is why it is asked.
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
