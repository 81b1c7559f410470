"""Who calls, and whether they may."""

import asyncio
import time
from collections import OrderedDict

from domain.errors import (
    PermissionDeniedError,
    Reason,
    UnauthenticatedError,
    revision_unknown,
)
from domain.model.caller import Caller, Identity
from domain.model.merchant import Revision
from server.auth.tokens import TokenVerifier, token_expired
from server.call import set_caller
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Kind, Method

_NO_DEADLINE = 1e9
"""Transports say None or a number of more seconds than this to a call without a deadline."""


class Auth(Interceptor):
    """Lets a call pass whose bearer token is valid and has the scope of the method."""

    def __init__(self, verifier: TokenVerifier, *, remembered: int = 10_000) -> None:
        """Authenticate callers.

        Args:
            verifier: Tells who carries a token.
            remembered: How many tokens, the last used ones, are verified once and then known until
                they expire.
        """
        self._verifier = verifier
        self._remembered = remembered
        self._known: OrderedDict[str, Identity] = OrderedDict()

    def wrap(self, method: Method, call: Call) -> Call:
        """Authenticate the calls of the method."""
        # The empty scope of a method without a policy is in no token: nobody may call it.
        scope = method.policy.scope

        def authenticate(context: Context) -> Identity:
            identity = self.identify(context)
            if scope not in identity.scopes:
                raise PermissionDeniedError(
                    Reason.SCOPE_MISSING,
                    f"the token lacks the scope {scope}",
                    metadata={"scope": scope},
                )
            set_caller(
                Caller(identity.merchant_id, identity.subject, _deadline(context), _seen(context))
            )
            return identity

        async def authenticated(request: Payload, context: Context) -> Payload:
            authenticate(context)
            return await call(request, context)

        async def authenticated_stream(request: Payload, context: Context) -> Payload:
            identity = authenticate(context)
            lifetime = asyncio.timeout(identity.expires_at - time.time())
            try:
                async with lifetime:
                    return await call(request, context)
            except TimeoutError:
                if lifetime.expired():
                    raise token_expired() from None
                raise

        return authenticated if method.kind is Kind.UNARY else authenticated_stream

    def identify(self, context: Context) -> Identity:
        """Return what the call's token says.

        Raises:
            UnauthenticatedError: There is no token, or it is not valid.
        """
        authorization = _authorization(context)
        identity = self._known.get(authorization)
        if identity is None:
            return self._verify(authorization)
        if identity.expires_at <= time.time():
            del self._known[authorization]
            raise token_expired()
        self._known.move_to_end(authorization)
        return identity

    def _verify(self, authorization: str) -> Identity:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _token_missing()
        identity = self._verifier.verify(token)
        self._known[authorization] = identity
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return identity


def _authorization(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return str(value)
    raise _token_missing()


def _seen(context: Context) -> Revision | None:
    for key, value in context.invocation_metadata() or ():
        if key == "patron-min-revision":
            try:
                return Revision.parse(str(value))
            except ValueError:
                raise revision_unknown() from None
    return None


def _token_missing() -> UnauthenticatedError:
    return UnauthenticatedError(
        Reason.TOKEN_MISSING, "send a bearer token in the metadata `authorization`"
    )


def _deadline(context: Context) -> float | None:
    remaining = context.time_remaining()
    if remaining is None or remaining > _NO_DEADLINE:  # type: ignore[redundant-expr]  # stubs err
        return None
    return time.monotonic() + remaining
