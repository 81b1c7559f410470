"""Keys that change, and tokens that nobody should accept, on real servers and a real JWKS URL."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pygrpc_native.aio
import pytest
from prometheus_client import CollectorRegistry

from patron.bill.v1 import bill_service_pb2 as bill
from server.auth.development import ALGORITHM
from server.auth.key_ring import KeyRing
from server.auth.key_source import JwksFile, JwksUrl
from server.auth.tokens import TokenVerifier
from tests.support.certificates import Authority
from tests.support.chain_server import BILL_ID, Served, eventually, refusal, serve, whole_chain
from tests.support.jwks_server import JwksServer
from tests.support.tokens import AUDIENCE, ISSUER, Issuer

GET_BILL = bill.GetBillRequest(bill_id=BILL_ID)
LEEWAY = 30


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    """Return who signs tokens, with the key that is published first."""
    return Issuer(tmp_path / "first")


@pytest.fixture
def successor(tmp_path: Path) -> Issuer:
    """Return the same issuer with another key."""
    return Issuer(tmp_path / "second")


@pytest.fixture
def jwks(issuer: Issuer) -> Iterator[JwksServer]:
    """Serve the first key."""
    with JwksServer() as server:
        server.publish(issuer.key)
        yield server


class Guarded:
    """A server whose keys come from the URL."""

    def __init__(self, served: Served, ring: KeyRing) -> None:
        self.ring = ring
        self._served = served

    async def accepts(self, token: str) -> bool:
        """Return whether the token is accepted."""
        return await self.reason(token) == ""

    async def reason(self, token: str) -> str:
        """Return why the token is refused; empty when it is accepted."""
        metadata = (("authorization", f"Bearer {token}"),)
        call = self._served.billing.GetBill(GET_BILL, metadata=metadata, timeout=10)
        if await call.code() is grpc.StatusCode.OK:
            return ""
        refused = await refusal(call)
        assert refused.code is grpc.StatusCode.UNAUTHENTICATED
        return refused.reason


def unexpected(error: BaseException, _error_id: str, method: str) -> None:
    """Fail: none of these tokens is an unexpected error."""
    raise AssertionError(method) from error


@asynccontextmanager
async def guarded(
    jwks: JwksServer, *, refresh: float = 3600, cool_down: float = 30, patience: float = 2
) -> AsyncIterator[Guarded]:
    """Serve with the keys of the URL."""
    source = JwksUrl(jwks.url, ALGORITHM)
    ring = KeyRing(
        await asyncio.to_thread(source.read),
        source,
        cool_down=cool_down,
        patience=patience,
    )
    verifier = TokenVerifier(ring, issuer=ISSUER, audience=AUDIENCE, leeway=LEEWAY)
    chain = whole_chain(registry=CollectorRegistry(), verifier=verifier, capture=unexpected)
    async with (
        ring.refreshed_every(refresh),
        serve(pygrpc_native.aio.server, chain) as served,
    ):
        yield Guarded(served, ring)


FORGERIES: dict[str, tuple[Callable[[Issuer], str], str]] = {
    "alg-none": (lambda issuer: issuer.unsigned(), "TOKEN_INVALID"),
    "hs256-with-public-key": (lambda issuer: issuer.signed_with_public_key(), "TOKEN_INVALID"),
    "unknown-key": (lambda issuer: issuer.sign(issuer.claims(), kid="other"), "TOKEN_INVALID"),
    "crit": (lambda issuer: issuer.sign(issuer.claims(), crit=["exp"]), "TOKEN_INVALID"),
    "audience": (lambda issuer: issuer.sign(issuer.claims(aud="other")), "TOKEN_INVALID"),
    "issuer": (lambda issuer: issuer.sign(issuer.claims(iss="other")), "TOKEN_INVALID"),
    "expired": (lambda issuer: issuer.token(lifetime=-LEEWAY - 1), "TOKEN_EXPIRED"),
}


async def test_forgeries(jwks: JwksServer, issuer: Issuer) -> None:
    """Tokens that nobody signed, or for somebody else, are UNAUTHENTICATED, with the reason."""
    async with guarded(jwks) as server:
        for name, (make, reason) in FORGERIES.items():
            assert await server.reason(make(issuer)) == reason, name
        assert await server.accepts(issuer.token())


async def test_a_flood_of_unknown_keys(jwks: JwksServer, issuer: Issuer, successor: Issuer) -> None:
    """However many tokens name unknown keys, the keys are fetched once per cool-down."""
    async with guarded(jwks, cool_down=1) as server:
        jwks.delay = 0.2
        forged = [issuer.sign(issuer.claims(), kid=f"made up {number}") for number in range(300)]
        begun = time.monotonic()
        assert set(await asyncio.gather(*map(server.reason, forged))) == {"TOKEN_INVALID"}

        jwks.publish(issuer.key, successor.key)
        while not await server.accepts(successor.token()):
            pass  # Until the cool-down is over, this is a flood too.
        # One at the start, one for all at once, and one after each cool-down.
        assert jwks.asked <= 2 + (time.monotonic() - begun)


async def test_a_hanging_provider_delays_known_tokens_by_nothing(
    jwks: JwksServer, issuer: Issuer
) -> None:
    """While keys are sought, unknown ones wait for a bounded time and known tokens not at all."""
    async with guarded(jwks, patience=0.2) as server:
        assert await server.accepts(issuer.token())
        jwks.delay = 1
        unknown = asyncio.gather(
            *(server.reason(issuer.sign(issuer.claims(), kid=str(each))) for each in range(20))
        )
        await eventually(lambda: jwks.asked == 2)
        assert await server.accepts(issuer.token())
        assert jwks.asked == 2
        assert set(await unknown) == {"TOKEN_INVALID"}
        assert server.ring.read_well == 0, "the calls waited until the provider answered"


async def test_rotation(jwks: JwksServer, issuer: Issuer, successor: Issuer) -> None:
    """Tokens of a new key pass at once; those of a withdrawn one stop, known or not."""
    async with guarded(jwks, refresh=0.2) as server:
        old, new = issuer.token(), successor.token()
        assert await server.accepts(old)
        jwks.publish(issuer.key, successor.key)
        assert await server.accepts(new)
        assert await server.accepts(old), "its key is still there"

        jwks.publish(successor.key)
        reads = server.ring.read_well
        await eventually(lambda: server.ring.read_well >= reads + 2)
        assert await server.reason(old) == "TOKEN_INVALID"
        assert await server.accepts(new)


async def test_a_key_that_changes_under_its_id(
    jwks: JwksServer, issuer: Issuer, successor: Issuer
) -> None:
    """A key that another replaces under the same id is withdrawn like one that is gone."""
    async with guarded(jwks) as server:
        token = issuer.token()
        assert await server.accepts(token)
        jwks.publish(successor.key)
        jwks.body = jwks.body.replace(successor.key.key_id.encode(), issuer.key.key_id.encode())
        await server.ring.seek()
        assert await server.reason(token) == "TOKEN_INVALID"


NONSENSE: dict[str, tuple[int, bytes]] = {
    "error": (500, b""),
    "empty": (200, b""),
    "html": (200, b"<html>"),
    "no-keys": (200, b'{"keys": []}'),
    "nested": (200, b"[" * 100_000),
    "gigantic": (200, b" " * 1_000_000),
    "redirect": (302, b""),
}


async def test_nonsense_keeps_the_last_good_keys(jwks: JwksServer, issuer: Issuer) -> None:
    """A provider that fails or answers nonsense takes no key away; failures are counted."""
    good = jwks.body
    async with guarded(jwks, cool_down=0) as server:
        jwks.headers["Location"] = jwks.url
        for failures, (name, (jwks.status, jwks.body)) in enumerate(NONSENSE.items(), start=1):
            assert await server.accepts(issuer.token(subject=name)), name
            await server.ring.seek()
            assert server.ring.failed == failures, name
        jwks.status, jwks.body = 200, good
        await server.ring.seek()
        assert server.ring.read_well == 1
        assert await server.accepts(issuer.token())


async def test_a_provider_that_drips(jwks: JwksServer) -> None:
    """The exchange with a provider is bounded as a whole, not byte by byte."""
    jwks.drip = 0.05
    begun = time.monotonic()
    with pytest.raises(ValueError, match="there is no answer"):
        await asyncio.to_thread(JwksUrl(jwks.url, ALGORITHM, seconds=0.3).read)
    assert time.monotonic() - begun < len(jwks.body) * jwks.drip


async def test_a_provider_with_tls(
    tmp_path: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys come by https only from a server whose certificate the system trusts."""
    authority = Authority()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue().write(tmp_path))
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.certificate)
    with JwksServer(tls) as jwks:
        jwks.publish(issuer.key)
        source = JwksUrl(jwks.url, ALGORITHM)
        with pytest.raises(ValueError, match="there is no answer"):
            await asyncio.to_thread(source.read)
        assert jwks.asked == 0
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert (await asyncio.to_thread(source.read)).find(issuer.key.key_id)


async def test_a_rotated_file(tmp_path: Path, issuer: Issuer, successor: Issuer) -> None:
    """A new key in a file is found by the first token of it."""
    path = tmp_path / "jwks.json"
    path.write_bytes(issuer.key.jwks_path.read_bytes())
    source = JwksFile(path, ALGORITHM)
    ring = KeyRing(source.read(), source)
    verifier = TokenVerifier(ring, issuer=ISSUER, audience=AUDIENCE)
    path.write_bytes(successor.key.jwks_path.read_bytes())

    assert (await verifier.admit(successor.token())).subject == "app"


async def test_clocks_five_minutes_apart(jwks: JwksServer, issuer: Issuer) -> None:
    """Tokens of an issuer whose clock is off are accepted within the leeway alone."""
    now = int(time.time())
    async with guarded(jwks) as server:
        for off, accepted in (
            (-300, False),
            (-LEEWAY + 10, True),
            (LEEWAY - 10, True),
            (300, False),
        ):
            # Valid from the issuer's now for one second: what its clock says is all that matters.
            claims = issuer.claims(nbf=now + off, iat=now + off, exp=now + off + 1)
            assert await server.accepts(issuer.sign(claims)) is accepted, off
