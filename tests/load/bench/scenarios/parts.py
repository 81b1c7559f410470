"""Single interceptors: what each adds to a call that does nothing.

Measured in this process, as differences of two loops: a server's noise would hide microseconds.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Any, Final

import grpc
import uvloop
from redis.asyncio import Redis

from domain.model.caller import Caller
from flags.deciding import SHIPPED_FLAGS
from flags.deciding.features import features_in
from server.call import set_caller
from server.interceptors.auth import Auth
from server.interceptors.feature_gate import FeatureGate
from server.interceptors.interceptor import Call, Interceptor
from server.interceptors.method import Method
from server.interceptors.rate_limit import RateLimit
from server.limits import Budget, RedisLeases, RedisRateLimiter
from tests.load.bench.lab import Lab
from tests.load.bench.report import Outcome
from tests.load.world import calls
from tests.load.world.merchants import World
from tests.support.tokens import MERCHANT, Issuer

_METHOD: Final = "GetSummary"
_CALLS: Final = 20_000
_BUDGET: Final = "analytics"
_WATCHED: Final = "customer-analytics"
_RATE: Final = 10_000_000
"""A lease of it outlasts the calls of a round."""
_REDIS_SECONDS: Final = 1.0


class _Context:
    """What the interceptors ask a call for: the metadata of a usual one, and no deadline."""

    def __init__(self, token: str) -> None:
        self._metadata = (
            ("user-agent", "grpc-python-asyncio/1.85.1 grpc-c/55.0.0 (linux; chttp2)"),
            ("authorization", f"Bearer {token}"),
        )

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    def time_remaining(self) -> float | None:
        return None


async def _nothing(_request: Any, _context: Any) -> None:
    """Do nothing: the call that the interceptors are wrapped around."""


def measure(lab: Lab) -> Outcome:
    """Take the cost of each interceptor."""
    world = lab.world  # Not in the loop: to open it takes one of its own.
    costs = uvloop.run(_measure(world, lab.effort.rounds))
    medians: dict[str, float | None] = {name: median(each) for name, each in costs.items()}
    return Outcome(medians, {"microseconds": costs})


async def _measure(world: World, rounds: int) -> dict[str, list[float]]:
    issuer = Issuer(world.databases.data_dir)
    context = _Context(issuer.token())
    set_caller(Caller(MERCHANT, "bench"))
    auth = Auth(issuer.verifier())
    costs = {"auth_us": await _costs(auth, context, rounds)}
    async with _limiter(world) as limiter:
        costs["limiter_us"] = await _costs(limiter, context, rounds)
    gate = FeatureGate(features_in(SHIPPED_FLAGS), watched=_WATCHED)
    costs["gate_us"] = await _costs(gate, context, rounds)
    return costs


async def _costs(interceptor: Interceptor, context: _Context, rounds: int) -> list[float]:
    """Return by how many microseconds a call through the interceptor takes longer, each round."""
    through = interceptor.wrap(_method(), _nothing)
    await _nanoseconds(through, context)  # Now token and decision are known, and the lease there.
    costs = []
    for _ in range(rounds):
        without = await _nanoseconds(_nothing, context)
        costs.append((await _nanoseconds(through, context) - without) / 1000)
    return costs


async def _nanoseconds(call: Call, context: Any) -> float:
    """Return the processor's time of one call, of many."""
    begun = time.thread_time_ns()
    for _ in range(_CALLS):
        await call(b"", context)
    return (time.thread_time_ns() - begun) / _CALLS


def _method() -> Method:
    handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(_nothing)
    return Method.describe(calls.path(_METHOD), handler)


@asynccontextmanager
async def _limiter(world: World) -> AsyncIterator[Interceptor]:
    """Lend the rate limit with leases from the real Valkey."""
    async with Redis.from_url(world.databases.redis_url) as redis:
        leases = RedisLeases(redis, timeout=_REDIS_SECONDS)
        limiter = RedisRateLimiter(Budget.of(_BUDGET, _RATE), leases, workers=1)
        yield RateLimit({_BUDGET: limiter})
