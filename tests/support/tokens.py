"""Tokens for tests, good ones and forged ones."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.auth.development import ALGORITHM, DevelopmentKey
from server.auth.key_ring import KeyRing
from server.auth.key_source import JwksFile
from server.auth.tokens import TokenSigner, TokenVerifier

ISSUER = "https://issuer.test"
AUDIENCE = "patron"
MERCHANT = UUID("5b0c9b7e-8f0f-4a38-9d6a-0d0a3f7f6a01")
ALL_SCOPES = frozenset({"bills.read", "bills.write", "analytics.read"})


class Issuer:
    """Signs what it is told to, with a development key of its own."""

    def __init__(self, folder: Path) -> None:
        self.key = DevelopmentKey.open(folder)
        self.signer: TokenSigner = self.key.signer(issuer=ISSUER, audience=AUDIENCE)

    def verifier(self, leeway: float = 30.0) -> TokenVerifier:
        return verifier_of(self.key.jwks_path, ALGORITHM, leeway)

    def token(
        self, *, scopes: frozenset[str] = ALL_SCOPES, lifetime: float = 600, subject: str = "app"
    ) -> str:
        return self.signer.sign(
            merchant_id=MERCHANT, subject=subject, scopes=scopes, lifetime=lifetime
        )

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return good claims with these changes; None takes a claim out."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "app",
            "merchant": str(MERCHANT),
            "scope": " ".join(sorted(ALL_SCOPES)),
            "exp": int(time.time()) + 600,
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode(
            claims,
            self.key.private_key,
            algorithm=ALGORITHM,
            headers={"kid": self.key.key_id} | header,
        )

    def unsigned(self) -> str:
        """Return a token that says it needs no signature."""
        return self._forge({"alg": "none"}, lambda _: b"")

    def signed_with_public_key(self) -> str:
        """Return a token whose HMAC has the public key, which everybody knows, as its secret."""
        secret = self.key.private_key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        return self._forge({"alg": "HS256"}, lambda text: hmac.digest(secret, text, hashlib.sha256))

    def _forge(self, header: dict[str, str], sign: Any) -> str:
        header |= {"kid": self.key.key_id, "typ": "JWT"}
        parts = [_base64url(json.dumps(part).encode()) for part in (header, self.claims())]
        text = b".".join(parts)
        return b".".join([text, _base64url(sign(text))]).decode()


def verifier_of(jwks: Path, algorithm: str, leeway: float = 30.0) -> TokenVerifier:
    """Return what verifies tokens of the keys in a file."""
    return TokenVerifier(ring_of(jwks, algorithm), issuer=ISSUER, audience=AUDIENCE, leeway=leeway)


def ring_of(jwks: Path, algorithm: str = ALGORITHM) -> KeyRing:
    """Return the keys of a file, which nothing reads again by itself."""
    source = JwksFile(jwks, algorithm)
    return KeyRing(source.read(), source)


def _base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
