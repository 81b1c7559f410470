"""How much of its budget a merchant has left."""

from collections.abc import Awaitable, Mapping
from typing import Protocol
from uuid import UUID

from domain.errors import Reason, ResourceExhaustedError
from patron.options.v1.options_pb2 import RateLimitClass
from server.call import current_caller
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Method


class RateLimiter(Protocol):
    """Limits the calls that each merchant makes from one budget."""

    def take(self, merchant_id: UUID) -> bool:
        """Return whether a call passes for which nobody need be asked: the fast way."""

    async def acquire(self, merchant_id: UUID) -> float:
        """Return 0 when a call passes; else in how many seconds it makes sense to try again."""


class RateLimit(Interceptor):
    """Takes every call from its merchant's budget, and refuses it when nothing is left.

    A stream counts as one call, at its beginning.
    """

    def __init__(self, limiters: Mapping[str, RateLimiter]) -> None:
        """Limit calls.

        Args:
            limiters: The limiter of each budget, by the name that `budget_name` returns; a budget
                without one has no limit.
        """
        self._limiters = limiters

    def wrap(self, method: Method, call: Call) -> Call:
        """Limit the calls of the method."""
        budget = budget_name(method.policy.rate_limit_class)
        limiter = self._limiters.get(budget)
        if limiter is None:
            return call

        def limited(request: Payload, context: Context) -> Awaitable[Payload]:
            merchant_id = current_caller().merchant_id
            if limiter.take(merchant_id):
                return call(request, context)
            return asked(merchant_id, request, context)

        async def asked(merchant_id: UUID, request: Payload, context: Context) -> Payload:
            wait = await limiter.acquire(merchant_id)
            if wait:
                raise ResourceExhaustedError(
                    Reason.RATE_LIMITED,
                    f"too many calls of the budget {budget}",
                    subject=f"merchant:{merchant_id}:{budget}",
                    retry_after=wait,
                )
            return await call(request, context)

        return limited


def budget_name(rate_limit_class: RateLimitClass.ValueType) -> str:
    """Return the name of a budget as the documentation has it, such as `read`."""
    return RateLimitClass.Name(rate_limit_class).removeprefix("RATE_LIMIT_CLASS_").lower()
