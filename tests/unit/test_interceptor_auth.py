"""Known tokens are remembered, and for no longer than they should be."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from domain.errors import Reason, UnauthenticatedError
from domain.model.caller import Identity
from server.auth.tokens import TokenVerifier
from server.interceptors.auth import Auth
from tests.support.tokens import AUDIENCE, ISSUER, Issuer


class CountingVerifier(TokenVerifier):
    """Counts the tokens that it really verifies."""

    verified = 0

    def verify(self, token: str) -> Identity:
        self.verified += 1
        return super().verify(token)


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    """Return who signs tokens."""
    return Issuer(tmp_path)


@pytest.fixture
def verifier(issuer: Issuer) -> CountingVerifier:
    """Return what verifies them, without leeway."""
    keys = issuer.verifier()._keys
    return CountingVerifier(keys, issuer=ISSUER, audience=AUDIENCE, leeway=0)


def context(token: str) -> Any:
    """Return what is asked of a call's context, with this token."""
    metadata = (("user-agent", "test"), ("authorization", f"bearer {token}"))
    return SimpleNamespace(invocation_metadata=lambda: metadata)


def test_verifies_once(issuer: Issuer, verifier: CountingVerifier) -> None:
    """A token is verified by its first call only."""
    auth, call = Auth(verifier), context(issuer.token())

    assert auth.identify(call) == auth.identify(call)
    assert verifier.verified == 1


def test_forgets_the_least_recently_used(issuer: Issuer, verifier: CountingVerifier) -> None:
    """No more than so many tokens are known; the one that was not used for longest goes."""
    auth = Auth(verifier, remembered=2)
    first, second, third = (context(issuer.token(subject=name)) for name in ("a", "b", "c"))
    for call in (first, second, first, third):
        auth.identify(call)
    assert verifier.verified == 3

    auth.identify(first)
    assert verifier.verified == 3
    auth.identify(second)
    assert verifier.verified == 4


def test_known_tokens_expire(
    issuer: Issuer, verifier: CountingVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known token that expires is refused and forgotten."""
    auth, call = Auth(verifier), context(issuer.token(lifetime=600))
    auth.identify(call)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 601)

    with pytest.raises(UnauthenticatedError) as refused:
        auth.identify(call)
    assert refused.value.reason is Reason.TOKEN_EXPIRED
    assert not auth._known


def test_refusals_are_not_remembered(verifier: CountingVerifier) -> None:
    """A bad token takes no memory, however often it comes."""
    auth = Auth(verifier)
    for _ in range(2):
        with pytest.raises(UnauthenticatedError):
            auth.identify(context("nonsense"))

    assert verifier.verified == 2
    assert not auth._known
