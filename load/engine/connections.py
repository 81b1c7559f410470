"""The connections of a process."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from grpc import ChannelConnectivity
from grpc.aio import AioRpcError, Channel

from load.errors import TargetError
from load.jobs import Target
from load.targets.channels import open_channel, reason_of

_REASON_SECONDS: Final = 1


async def connect(target: Target, count: int) -> Sequence[Channel]:
    """Return so many channels, each of which has a connection.

    Raises:
        TargetError: One of them could not be made at once, or not in time.
    """
    channels = [open_channel(target) for _ in range(count)]
    try:
        async with asyncio.timeout(target.connect_timeout or None):
            await asyncio.gather(*(_ready(channel, target) for channel in channels))
    except TimeoutError:
        raise TargetError(
            f"{target.host} cannot be reached: "
            f"no connection in {target.connect_timeout:g} seconds (connect-timeout)"
        ) from None
    return channels


async def _ready(channel: Channel, target: Target) -> None:
    state = channel.get_state(try_to_connect=True)
    while state is not ChannelConnectivity.READY:
        if state is ChannelConnectivity.TRANSIENT_FAILURE:
            # It would be tried again and again. Whoever waits wants to know now.
            raise TargetError(f"{target.host} cannot be reached: {await _reason(channel)}")
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


async def _reason(channel: Channel) -> str:
    """Return why there is no connection: a call that fails for it tells, and reaches nobody."""
    with suppress(TimeoutError):
        try:
            nothing: Any = channel.unary_unary("/")
            await nothing(b"", timeout=_REASON_SECONDS)
        except AioRpcError as error:
            return reason_of(error.code(), error.details())
    return "no connection"


async def disconnect(channels: Sequence[Channel]) -> None:
    """Close them; calls in flight are cut off."""
    for channel in channels:
        await channel.close()
