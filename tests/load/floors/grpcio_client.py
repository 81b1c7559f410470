"""The floor of a load generator: a bare grpc.aio client that calls a method again and again.

`python -m tests.load.floors.grpcio_client TARGET PATH MESSAGE SECONDS`, the message in hex; prints
how many calls per second there were.
"""

import asyncio
import sys
import time
from typing import Any, Final

import grpc.aio
import uvloop

_CONNECTIONS: Final = 10
_TASKS: Final = 100
_OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1),)
"""Without it, channels to the same address share one connection."""


async def _call(target: str, path: str, message: bytes, seconds: float) -> float:
    channels = [grpc.aio.insecure_channel(target, _OPTIONS) for _ in range(_CONNECTIONS)]
    methods: list[Any] = [channel.unary_unary(path) for channel in channels]
    for method in methods:
        await method(message)
    made = 0
    begun = time.monotonic()

    async def work(method: Any) -> None:
        nonlocal made
        while time.monotonic() - begun < seconds:
            await method(message)
            made += 1

    await asyncio.gather(*(work(methods[task % _CONNECTIONS]) for task in range(_TASKS)))
    rate = made / (time.monotonic() - begun)
    for channel in channels:
        await channel.close()
    return rate


if __name__ == "__main__":
    target, path, message, seconds = sys.argv[1:]
    print(uvloop.run(_call(target, path, bytes.fromhex(message), float(seconds))))  # noqa: T201
