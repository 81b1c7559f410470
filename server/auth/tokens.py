"""Tokens are JSON Web Tokens (RFC 7519), signed with a key whose public half is in a JWKS."""

import json
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

import jwt

from domain.errors import Reason, UnauthenticatedError
from domain.model.caller import Identity

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPrivateKeys

    PrivateKey: TypeAlias = AllowedPrivateKeys

ALGORITHMS: Final = frozenset({"EdDSA", "ES256", "RS256"})
"""The algorithms to choose from; with none of them can a public key sign."""

_REQUIRED_CLAIMS = ["exp", "iss", "aud", "sub", "merchant"]
_PRIVATE_MEMBER = "d"


class KeysUnusable(ValueError):
    """What should be keys cannot be used as such; the text says why, and no secret."""


class KeySet:
    """The public keys of a JWKS (RFC 7517), by their ids, all of one algorithm.

    What a key is for follows from the key alone, never from a token.
    """

    def __init__(self, keys: Mapping[str, jwt.PyJWK]) -> None:
        self._keys = dict(keys)

    @classmethod
    def parse(cls, jwks: str, algorithm: str) -> "KeySet":
        """Return the keys of the JSON document `jwks`.

        Raises:
            KeysUnusable: The document is not a JWKS, or holds a key that is not public, has no id
                of its own, or is not one of `algorithm`.
        """
        if algorithm not in ALGORITHMS:
            raise KeysUnusable(f"{algorithm} is none of {', '.join(sorted(ALGORITHMS))}")
        try:
            entries = json.loads(jwks)["keys"]
            keys = [_public_key(entry, algorithm) for entry in entries]
        except (KeyError, TypeError, json.JSONDecodeError, jwt.PyJWTError) as error:
            raise KeysUnusable("not a JWK set of public keys") from error
        by_id = {str(key.key_id): key for key in keys}
        if not keys or len(by_id) < len(keys):
            raise KeysUnusable("a JWKS needs at least one key, and every key an id of its own")
        return cls(by_id)

    @classmethod
    def read(cls, path: Path, algorithm: str) -> "KeySet":
        """Return the keys of the JWKS file.

        Raises:
            OSError: The file cannot be read.
            KeysUnusable: As `parse`.
        """
        return cls.parse(path.read_text(encoding="utf-8"), algorithm)

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of this id, or None."""
        return self._keys.get(key_id)


def _public_key(entry: Mapping[str, Any], algorithm: str) -> jwt.PyJWK:
    if _PRIVATE_MEMBER in entry or "k" in entry:
        raise KeysUnusable("a JWKS for verification holds public keys only")
    if not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
        raise KeysUnusable("every key needs an id, and must be one for signatures")
    key = jwt.PyJWK(dict(entry))
    if key.algorithm_name != algorithm:
        raise KeysUnusable(f"the key {key.key_id} is not one of {algorithm}")
    return key


class TokenVerifier:
    """Tells who carries a token."""

    def __init__(self, keys: KeySet, *, issuer: str, audience: str, leeway: float = 30.0) -> None:
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

    def verify(self, token: str) -> Identity:
        """Return what the token says; it ends when it is no longer accepted, leeway included.

        Raises:
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
        key = self._keys.find(header.get("kid", ""))
        if key is None or "crit" in header:
            raise _token_invalid()
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
    return UnauthenticatedError(Reason.TOKEN_INVALID, "the token is not valid")
