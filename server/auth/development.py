"""The key that signs tokens on a developer's machine. Never the way to production."""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from server.auth.keys import KeysUnusable
from server.auth.tokens import TokenSigner
from server.private_files import read_or_create, replace

ALGORITHM: Final = "EdDSA"
"""The algorithm of the development key."""


@dataclass(frozen=True, slots=True)
class DevelopmentKey:
    """A private key under the data directory, and the JWKS that verifies what it signs."""

    private_key: Ed25519PrivateKey
    key_id: str
    jwks_path: Path
    """The JWKS file that the server reads, as it would one in production."""

    @classmethod
    def open(cls, data_directory: Path) -> "DevelopmentKey":
        """Return the key of the data directory; the first who asks makes it.

        Raises:
            OSError: The directory cannot be written or the key not be read.
            KeysUnusable: The file is not an Ed25519 key.
        """
        folder = data_directory / "auth"
        private_key = _read_key(folder / "development_key.pem")
        entry = _public_entry(private_key)
        jwks_path = folder / "jwks.json"
        replace(jwks_path, json.dumps({"keys": [entry]}, indent=2).encode())
        return cls(private_key, entry["kid"], jwks_path)

    def signer(self, *, issuer: str, audience: str) -> TokenSigner:
        """Return what signs tokens with the key."""
        return TokenSigner(
            self.private_key,
            key_id=self.key_id,
            algorithm=ALGORITHM,
            issuer=issuer,
            audience=audience,
        )


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def _read_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(read_or_create(path, _new_key), password=None)
    except (TypeError, ValueError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeysUnusable(f"{path} is not an Ed25519 key: remove it to get a new one")
    return key


def _public_entry(private_key: Ed25519PrivateKey) -> dict[str, str]:
    x = private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(x)}
    # The id is the key's thumbprint (RFC 7638): its members in order, without spaces.
    canonical = json.dumps(key, separators=(",", ":"), sort_keys=True).encode()
    thumbprint = _base64url(hashlib.sha256(canonical).digest())
    return {**key, "alg": ALGORITHM, "kid": thumbprint, "use": "sig"}


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
