"""Known tokens are remembered, and for no longer than they should be."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from domain.errors import PatronError, Reason, UnauthenticatedError
from domain.model.caller import Caller, Identity
from patron.options.v1.options_pb2 import MethodPolicy
from server.auth.tokens import TokenVerifier
from server.call import current_caller
from server.interceptors.auth import Auth
from server.interceptors.method import Kind
from tests.support.tokens import AUDIENCE, ISSUER, MERCHANT, Issuer, ring_of


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
    keys = ring_of(issuer.key.jwks_path)
    return CountingVerifier(keys, issuer=ISSUER, audience=AUDIENCE, leeway=0)


async def identify(auth: Auth, token: str) -> Identity:
    """Return who calls with this token."""
    authorization = f"bearer {token}"
    return auth.recall(authorization) or await auth.verify(authorization)


async def test_verifies_once(issuer: Issuer, verifier: CountingVerifier) -> None:
    """A token is verified by its first call only."""
    auth, token = Auth(verifier), issuer.token()

    assert await identify(auth, token) == await identify(auth, token)
    assert verifier.verified == 1


async def test_forgets_the_least_recently_used(issuer: Issuer, verifier: CountingVerifier) -> None:
    """No more than so many tokens are known; the one that was not used for longest goes."""
    auth = Auth(verifier, remembered=2)
    first, second, third = (issuer.token(subject=name) for name in ("a", "b", "c"))
    for token in (first, second, first, third):
        await identify(auth, token)
    assert verifier.verified == 3

    await identify(auth, first)
    assert verifier.verified == 3
    await identify(auth, second)
    assert verifier.verified == 4


async def test_known_tokens_expire(
    issuer: Issuer, verifier: CountingVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known token that expires is refused and forgotten."""
    auth, token = Auth(verifier), issuer.token(lifetime=600)
    await identify(auth, token)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 601)

    with pytest.raises(UnauthenticatedError) as refused:
        await identify(auth, token)
    assert refused.value.reason is Reason.TOKEN_EXPIRED
    assert not auth._known


async def test_refusals_are_not_remembered(verifier: CountingVerifier) -> None:
    """A bad token takes no memory, however often it comes."""
    auth = Auth(verifier)
    for _ in range(2):
        with pytest.raises(UnauthenticatedError):
            await identify(auth, "nonsense")

    assert verifier.verified == 2
    assert not auth._known


async def test_a_known_token_waits_for_nothing(issuer: Issuer, verifier: CountingVerifier) -> None:
    """A call with a known token reaches its handler without giving way to another."""
    auth, authorization = Auth(verifier), f"Bearer {issuer.token()}"
    await auth.verify(authorization)
    method: Any = SimpleNamespace(policy=MethodPolicy(scope="bills.read"), kind=Kind.UNARY)
    metadata = (
        ("user-agent", "test"),
        ("authorization", authorization),
        ("patron-app-version", "2.1.0"),
        ("patron-platform", "ios" * 100),
    )
    context: Any = SimpleNamespace(time_remaining=lambda: 5.0, invocation_metadata=lambda: metadata)
    callers: list[Caller] = []

    async def handler(request: object, _context: object) -> object:
        callers.append(current_caller())
        return request

    call: Any = auth.wrap(method, handler)("a request", context)
    with pytest.raises(StopIteration) as answer:
        call.send(None)
    assert answer.value.value == "a request"
    [caller] = callers
    assert caller.merchant_id == MERCHANT
    assert (caller.app_version, caller.platform) == ("2.1.0", ("ios" * 100)[:64])
    assert caller.deadline == pytest.approx(time.monotonic() + 5, abs=1)


async def test_the_token_comes_first(issuer: Issuer, verifier: CountingVerifier) -> None:
    """Who may not call is told so, whatever else is wrong with what they send."""
    method: Any = SimpleNamespace(policy=MethodPolicy(scope="bills.read"), kind=Kind.UNARY)
    call: Any = Auth(verifier).wrap(method, lambda _request, _context: None)  # type: ignore[arg-type,return-value]

    async def reason(authorization: str) -> Reason:
        metadata = (("authorization", authorization), ("patron-min-revision", "nonsense"))
        context: Any = SimpleNamespace(
            time_remaining=lambda: 5.0, invocation_metadata=lambda: metadata
        )
        with pytest.raises(PatronError) as refused:
            await call("a request", context)
        return refused.value.reason

    assert await reason("") is Reason.TOKEN_MISSING
    assert await reason("Bearer nonsense") is Reason.TOKEN_INVALID
    assert (
        await reason(f"Bearer {issuer.token(scopes=frozenset({'bills.write'}))}")
        is Reason.SCOPE_MISSING
    )
    # A token that is known by now, too.
    assert await reason(f"Bearer {issuer.token()}") is Reason.REVISION_UNKNOWN
    assert await reason(f"Bearer {issuer.token()}") is Reason.REVISION_UNKNOWN
