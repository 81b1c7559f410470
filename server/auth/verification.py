"""Tokens as the settings say: whose keys, issuer and audience."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.auth.development import ALGORITHM, DevelopmentKey
from server.auth.key_ring import KeyRing
from server.auth.key_source import JwksFile, JwksUrl, KeySource
from server.auth.keys import KeysUnusable
from server.auth.tokens import TokenVerifier
from server.settings import Settings, SettingsError


@asynccontextmanager
async def token_verifier(settings: Settings) -> AsyncIterator[tuple[TokenVerifier, KeyRing]]:
    """Lend what verifies tokens, and its keys: they are read again for as long as the body runs.

    Raises:
        SettingsError: The keys that the settings name cannot be used.
        KeysUnusable: The development key is damaged.
    """
    variable, source = _source(settings)
    try:
        keys = await asyncio.to_thread(source.read)
    except KeysUnusable as error:
        raise SettingsError(variable, f"names keys that cannot be used: {error}") from error
    ring = KeyRing(keys, source)
    async with ring.refreshed_every(settings.auth_jwks_refresh_seconds):
        verifier = TokenVerifier(
            ring,
            issuer=settings.auth_issuer,
            audience=settings.auth_audience,
            leeway=settings.auth_leeway_seconds,
        )
        yield verifier, ring


def _source(settings: Settings) -> tuple[str, KeySource]:
    """Return where the keys are, and the variable that says so."""
    algorithm = settings.auth_algorithm
    if settings.auth_jwks_url is not None:
        return "PATRON_AUTH_JWKS_URL", JwksUrl(settings.auth_jwks_url, algorithm)
    file = settings.auth_jwks_file
    if file is None:
        file, algorithm = DevelopmentKey.open(settings.data_dir).jwks_path, ALGORITHM
    return "PATRON_AUTH_JWKS_FILE", JwksFile(file, algorithm)
