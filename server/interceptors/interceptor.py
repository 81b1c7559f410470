"""What one interceptor of the chain is."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, TypeAlias

import grpc.aio

from server.interceptors.method import Method

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

Payload: TypeAlias = Any
"""The request of a call, or its answer.

Outside the codec a request is bytes, or an async iterator of bytes; one answer is bytes, and many
are written with `context.write` one by one, after which the call returns None. Inside the codec the
same are messages, and many answers are returned as an async generator.
"""

Call: TypeAlias = Callable[[Payload, Context], Awaitable[Payload]]
"""How a method is called. What is wrong may be raised by the call itself, before it is awaited.

An interceptor that only looks before it lets a call pass need not be a coroutine: it returns the
awaitable of the next one, which saves a step of each.
"""


class Interceptor(ABC):
    """One concern of every call."""

    everywhere: ClassVar[bool] = False
    """Whether gRPC's own methods, health and reflection, pass the interceptor too."""

    @abstractmethod
    def wrap(self, method: Method, call: Call) -> Call:
        """Return how the method is called through this interceptor; asked once per method."""
