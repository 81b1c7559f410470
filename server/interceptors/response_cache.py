"""Answers that need not be computed again."""

import hashlib
import time
from functools import partial
from typing import Any, Final

from domain.model.caller import Caller
from server.answers import Answers, Computed, Key, Question
from server.call import current_caller, find_reflection, set_caller
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Kind, Method

_COMPUTATION_SECONDS: Final = 10.0
"""How long a computation may take; callers share it, so it has the deadline of none of them."""

_NO_CLIENT: Final[Any] = None
"""The context of a computation, which outlives the call that began it: it can tell no client."""


class ResponseCache(Interceptor):
    """Serves kept answers of the methods that may be cached.

    The trailer `patron-cache` says hit or miss, `patron-revision` what the answer reflects.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def wrap(self, method: Method, call: Call) -> Call:
        """Cache the answers of the method, if its policy says for how long."""
        lifetime = method.policy.cache_ttl.ToMilliseconds() / 1000
        if lifetime <= 0 or method.kind is not Kind.UNARY:
            return call
        answers, name = self._answers, method.full_name
        schema = _fingerprint(method.response_type.DESCRIPTOR.file)

        async def answered(request: Payload, context: Context) -> Payload:
            caller = current_caller()
            key = Key(caller.merchant_id, name, request)
            served = answers.find(key, caller.seen)
            if served is None:
                compute = partial(_compute, call, request, caller)
                served = await answers.get(Question(key, schema, lifetime, compute), caller.seen)
            context.set_trailing_metadata(served.trailers)
            return served.body

        return answered


async def _compute(call: Call, request: bytes, caller: Caller) -> Computed:
    deadline = time.monotonic() + _COMPUTATION_SECONDS
    set_caller(caller._replace(deadline=deadline, seen=None))
    body = await call(request, _NO_CLIENT)
    reflection = find_reflection()
    return Computed(body, reflection.revision, reflection.valid_until.timestamp())


def _fingerprint(file: Any) -> bytes:  # noqa: ANN401 - descriptors are of two types
    """Return a hash of all that defines the messages of a file."""
    digest = hashlib.blake2b(file.serialized_pb, digest_size=8)
    for imported in file.dependencies:
        digest.update(_fingerprint(imported))
    return digest.digest()
