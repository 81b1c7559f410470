"""Tokens are JSON Web Tokens (RFC 7519), signed with a key whose public half is in a JWKS."""

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

import jwt

from domain.errors import Reason, UnauthenticatedError
from domain.model.caller import Identity
from server.auth.key_ring import Forget, KeyRing

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPrivateKeys

    PrivateKey: TypeAlias = AllowedPrivateKeys

_REQUIRED_CLAIMS = ["exp", "iss", "aud", "sub", "merchant"]
_INVALID = "the token is not valid"


class KeyUnknown(UnauthenticatedError):
    """A token names a key that is not known, or not yet."""


class TokenVerifier:
    """Tells who carries a token."""

    def __init__(self, keys: KeyRing, *, issuer: str, audience: str, leeway: float = 30.0) -> None:
        """Verify tokens.

        Args:
            keys: What tokens are signed with.
            issuer: Who must have issued a token.
            audience: Whom a token must be for.
            leeway: By how many seconds the issuer's clock may differ.
        """
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway

    def on_withdrawal(self, forget: Forget) -> None:
        """Have `forget` told the ids of keys whose tokens are not accepted any more."""
        self._keys.on_withdrawal(forget)

    async def admit(self, token: str) -> Identity:
        """Return what `verify` does, also for a token of a key that is newer than those known."""
        try:
            return self.verify(token)
        except KeyUnknown:
            await self._keys.seek()
            return self.verify(token)

    def verify(self, token: str) -> Identity:
        """Return what the token says; it ends when it is no longer accepted, leeway included.

        Raises:
            KeyUnknown: No known key has the id that the token names.
            UnauthenticatedError: The token has expired, or is not valid.
        """
        try:
            return self._verify(token)
        except jwt.ExpiredSignatureError:
            raise token_expired() from None
        # Deeply nested JSON in a token that anybody may send is a RecursionError.
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise _token_invalid() from None

    def _verify(self, token: str) -> Identity:
        header = jwt.get_unverified_header(token)
        if "crit" in header or "kid" not in header:
            raise _token_invalid()
        key_id = header["kid"]
        key = self._keys.find(key_id)
        if key is None:
            raise KeyUnknown(Reason.TOKEN_INVALID, _INVALID)
        claims = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=self._issuer,
            audience=self._audience,
            leeway=self._leeway,
            options={"require": _REQUIRED_CLAIMS, "enforce_minimum_key_length": True},
        )
        merchant, scope = claims["merchant"], claims.get("scope", "")
        if not isinstance(merchant, str) or not isinstance(scope, str) or not claims["sub"]:
            raise _token_invalid()
        return Identity(
            merchant_id=UUID(merchant),
            subject=claims["sub"],
            scopes=frozenset(scope.split()),
            key_id=key_id,
            expires_at=float(claims["exp"]) + self._leeway,
        )


class TokenSigner:
    """Signs tokens that a `TokenVerifier` of the same issuer and audience accepts."""

    def __init__(
        self, private_key: "PrivateKey", *, key_id: str, algorithm: str, issuer: str, audience: str
    ) -> None:
        """Sign tokens.

        Args:
            private_key: What to sign with.
            key_id: The id of its public half in the JWKS.
            algorithm: How to sign.
            issuer: Who issues the tokens.
            audience: Whom they are for.
        """
        self._private_key = private_key
        self._key_id = key_id
        self._algorithm = algorithm
        self._issuer = issuer
        self._audience = audience

    def sign(
        self, *, merchant_id: UUID, subject: str, scopes: Collection[str], lifetime: float
    ) -> str:
        """Return a token for `subject`, who acts for the merchant; `lifetime` is in seconds."""
        now = int(time.time())
        return jwt.encode(
            {
                "iss": self._issuer,
                "aud": self._audience,
                "sub": subject,
                "merchant": str(merchant_id),
                "scope": " ".join(sorted(scopes)),
                "iat": now,
                "exp": now + int(lifetime),
            },
            self._private_key,
            algorithm=self._algorithm,
            headers={"kid": self._key_id},
        )


def token_expired() -> UnauthenticatedError:
    """Return the error of a token whose time is over."""
    return UnauthenticatedError(Reason.TOKEN_EXPIRED, "the token has expired")


def _token_invalid() -> UnauthenticatedError:
    return UnauthenticatedError(Reason.TOKEN_INVALID, _INVALID)
