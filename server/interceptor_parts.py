"""What interceptors are given to work with, as the settings say."""

import os
import platform
from contextlib import AsyncExitStack
from importlib.metadata import version

from redis.asyncio import Redis

from server.interceptors import Overload
from server.interceptors.interceptor import Interceptor
from server.limits import Budget, RedisLeases, RedisRateLimiter
from server.metrics import Readings
from server.metrics.parts import show_limiters, show_load
from server.settings import Settings
from server.tasks import Background


async def open_traces(settings: Settings, stack: AsyncExitStack) -> Interceptor | None:
    """Return what traces the calls until the stack is closed; None when traces are not wanted."""
    if settings.otlp_endpoint is None:
        return None
    # A server without traces saves OpenTelemetry's memory.
    from server.interceptors.traces import Traces  # noqa: PLC0415
    from server.tracing import tracing  # noqa: PLC0415

    tracer = await stack.enter_async_context(
        tracing(
            settings.otlp_endpoint,
            release=version("patron"),
            instance=f"{platform.node()}:{os.getpid()}",
        )
    )
    return Traces(tracer)


def build_overload(settings: Settings, background: Background, readings: Readings) -> Overload:
    """Return what refuses calls that are too many, work that outlives its call counted among it."""
    bounds = {"max_in_flight": settings.max_in_flight, "max_streams": settings.max_streams}
    overload = Overload(**bounds, abandoned=lambda: background.abandoned)
    show_load(readings, overload, background, **bounds)
    return overload


def build_limiters(
    settings: Settings, redis: Redis, readings: Readings
) -> dict[str, RedisRateLimiter]:
    """Return what keeps merchants within their budgets, by the class of the method."""
    rates = {
        "read": settings.rate_limit_read,
        "write": settings.rate_limit_write,
        "analytics": settings.rate_limit_analytics,
        "bulk": settings.rate_limit_bulk,
    }
    leases = RedisLeases(redis, timeout=settings.redis_timeout_seconds)
    limiters = {
        name: RedisRateLimiter(Budget.of(name, rate), leases, workers=settings.workers)
        for name, rate in rates.items()
        if rate
    }
    show_limiters(readings, {name: limiter.counts for name, limiter in limiters.items()})
    return limiters
