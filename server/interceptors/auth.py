"""Who calls, and whether they may."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable
from typing import Final, TypeAlias

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
from server.interceptors.deadline import deadline_of
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.metadata import metadata_of
from server.interceptors.method import Kind, Method

_Client: TypeAlias = tuple[str, str | None, str | None, str | None]
"""The bearer token, the revision that was seen, the version of the application, its platform."""

_LONGEST: Final = 64
"""How many characters of a version or a platform count: decisions by them are remembered."""


class Auth(Interceptor):
    """Lets a call pass whose bearer token is valid and has the scope of the method."""

    def __init__(self, verifier: TokenVerifier, *, remembered: int = 10_000) -> None:
        """Authenticate callers.

        Args:
            verifier: Tells who carries a token.
            remembered: How many tokens, the last used ones, are verified once and then known until
                they expire or their key is withdrawn.
        """
        self._verifier = verifier
        self._remembered = remembered
        self._known: OrderedDict[str, Identity] = OrderedDict()
        verifier.on_withdrawal(self._forget)

    def wrap(self, method: Method, call: Call) -> Call:
        """Authenticate the calls of the method."""
        # The empty scope of a method without a policy is in no token: nobody may call it.
        scope = method.policy.scope
        missing = f"the token lacks the scope {scope}"

        def admit(identity: Identity, client: _Client, context: Context) -> None:
            if scope not in identity.scopes:
                raise PermissionDeniedError(
                    Reason.SCOPE_MISSING, missing, metadata={"scope": scope}
                )
            _, seen, app_version, platform = client
            least = None if seen is None else _revision(seen)
            set_caller(
                Caller(
                    identity.merchant_id,
                    identity.subject,
                    _deadline(context),
                    least,
                    app_version,
                    platform,
                )
            )

        def authenticated(request: Payload, context: Context) -> Awaitable[Payload]:
            client = _client(context)
            identity = self.recall(client[0])
            if identity is None:
                return newly_authenticated(client, request, context)
            admit(identity, client, context)
            return call(request, context)

        async def newly_authenticated(
            client: _Client, request: Payload, context: Context
        ) -> Payload:
            admit(await self.verify(client[0]), client, context)
            return await call(request, context)

        async def authenticated_stream(request: Payload, context: Context) -> Payload:
            client = _client(context)
            identity = self.recall(client[0]) or await self.verify(client[0])
            admit(identity, client, context)
            lifetime = asyncio.timeout(identity.expires_at - time.time())
            try:
                async with lifetime:
                    return await call(request, context)
            except TimeoutError:
                if lifetime.expired():
                    raise token_expired() from None
                raise

        return authenticated if method.kind is Kind.UNARY else authenticated_stream

    def recall(self, authorization: str) -> Identity | None:
        """Return what a known token says; None when it isn't known.

        Raises:
            UnauthenticatedError: It has expired since it was verified.
        """
        identity = self._known.get(authorization)
        if identity is None:
            return None
        if identity.expires_at <= time.time():
            del self._known[authorization]
            raise token_expired()
        self._known.move_to_end(authorization)
        return identity

    async def verify(self, authorization: str) -> Identity:
        """Return what a token says that isn't known yet, and know it from now on.

        Raises:
            UnauthenticatedError: It is no bearer token, or not valid.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _token_missing()
        identity = await self._verifier.admit(token)
        self._known[authorization] = identity
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return identity

    def _forget(self, key_ids: frozenset[str]) -> None:
        for authorization, identity in list(self._known.items()):
            if identity.key_id in key_ids:
                del self._known[authorization]


def _client(context: Context) -> _Client:
    """Return what the client says of itself; raises UnauthenticatedError without a token."""
    authorization, seen, app_version, platform = "", None, None, None
    for key, value in metadata_of(context):
        if key == "authorization":
            authorization = str(value)
        elif key == "patron-min-revision":
            seen = str(value)
        elif key == "patron-app-version":
            app_version = str(value)[:_LONGEST]
        elif key == "patron-platform":
            platform = str(value)[:_LONGEST]
    if not authorization:
        raise _token_missing()
    return authorization, seen, app_version, platform


def _revision(text: str) -> Revision:
    try:
        return Revision.parse(text)
    except ValueError:
        raise revision_unknown() from None


def _token_missing() -> UnauthenticatedError:
    return UnauthenticatedError(
        Reason.TOKEN_MISSING, "send `Bearer <token>` in the metadata `authorization`"
    )


def _deadline(context: Context) -> float | None:
    deadline = deadline_of(context)
    return None if deadline == math.inf else deadline
