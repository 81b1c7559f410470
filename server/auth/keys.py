"""The public keys that tokens are verified with, as a JWK set holds them (RFC 7517)."""

import json
from collections.abc import Mapping
from typing import Any, Final

import jwt

ALGORITHMS: Final = frozenset({"EdDSA", "ES256", "RS256"})
"""The algorithms to choose from; with none of them can a public key sign."""

_PRIVATE_MEMBERS: Final = frozenset({"d", "k"})


class KeysUnusable(ValueError):
    """What should be keys cannot be used as such; the text says why, and no secret."""


class KeySet:
    """The public keys of a JWKS, by their ids, all of one algorithm.

    What a key is for follows from the key alone, never from a token.
    """

    def __init__(self, keys: Mapping[str, jwt.PyJWK]) -> None:
        self._keys = dict(keys)

    @classmethod
    def parse(cls, jwks: str | bytes, algorithm: str) -> "KeySet":
        """Return the keys of `algorithm` in the JSON document `jwks`.

        Keys for encryption and of other algorithms, which identity providers publish in the same
        document, are left out.

        Raises:
            KeysUnusable: The document is not a JWKS, has no key of the algorithm, or holds one that
                is not public, or has no id of its own.
        """
        if algorithm not in ALGORITHMS:
            raise KeysUnusable(f"{algorithm} is none of {', '.join(sorted(ALGORITHMS))}")
        try:
            entries = [dict(entry) for entry in json.loads(jwks)["keys"]]
        # Deeply nested JSON is a RecursionError.
        except (KeyError, TypeError, ValueError, RecursionError):
            raise KeysUnusable("not a JWK set") from None
        if any(_PRIVATE_MEMBERS & entry.keys() for entry in entries):
            raise KeysUnusable("a JWK set for verification holds public keys only")
        found = [_public_key(entry) for entry in entries if entry.get("use", "sig") == "sig"]
        keys = [key for key in found if key and key.algorithm_name == algorithm]
        by_id = {key.key_id: key for key in keys if isinstance(key.key_id, str)}
        if not keys:
            raise KeysUnusable(f"the JWK set has no key of {algorithm}")
        if len(by_id) < len(keys):
            raise KeysUnusable("every key needs an id of its own")
        return cls(by_id)

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of this id, or None."""
        return self._keys.get(key_id)

    def withdrawn_by(self, newer: "KeySet") -> frozenset[str]:
        """Return the ids under which `newer` has no key any more, or another one."""
        return frozenset(
            key_id
            for key_id, key in self._keys.items()
            if (left := newer.find(key_id)) is None or left.key != key.key
        )


def _public_key(entry: dict[str, Any]) -> jwt.PyJWK | None:
    """Return the key of the entry; None when it is one that is not understood (RFC 7517, 5)."""
    try:
        return jwt.PyJWK(entry)
    # What is wrong with numbers and types in a key goes through PyJWT as it is.
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
        return None
