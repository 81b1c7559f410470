"""Which tokens are accepted, and which keys."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Reason, UnauthenticatedError
from server.auth.key_source import JwksFile
from server.auth.keys import KeySet, KeysUnusable
from server.auth.tokens import TokenSigner
from tests.support.tokens import AUDIENCE, ISSUER, MERCHANT, Issuer, verifier_of


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """Return who signs tokens."""
    return Issuer(tmp_path_factory.mktemp("issuer"))


def reason_of(issuer: Issuer, token: str) -> Reason:
    """Return why the token is refused."""
    with pytest.raises(UnauthenticatedError) as error:
        issuer.verifier().verify(token)
    return error.value.reason


def test_accepts_what_the_signer_signs(issuer: Issuer) -> None:
    """A signed token says its merchant, subject, scopes and end, leeway included."""
    identity = issuer.verifier(leeway=30).verify(issuer.token(scopes=frozenset({"a.read"})))

    assert identity.merchant_id == MERCHANT
    assert identity.subject == "app"
    assert identity.scopes == {"a.read"}
    assert identity.expires_at == pytest.approx(time.time() + 630, abs=5)


def test_scopes_are_separated_by_spaces(issuer: Issuer) -> None:
    """A scope claim lists scopes; without one there are none."""
    verifier = issuer.verifier()

    assert verifier.verify(issuer.sign(issuer.claims(scope="a b  c"))).scopes == {"a", "b", "c"}
    assert verifier.verify(issuer.sign(issuer.claims(scope=None))).scopes == frozenset()


@pytest.mark.parametrize("leeway, accepted", [(30.0, True), (0.0, False)])
def test_leeway(issuer: Issuer, leeway: float, accepted: bool) -> None:
    """A token is accepted for the leeway after its end."""
    token = issuer.sign(issuer.claims(exp=int(time.time()) - 10))
    if accepted:
        assert issuer.verifier(leeway).verify(token).merchant_id == MERCHANT
    else:
        with pytest.raises(UnauthenticatedError) as error:
            issuer.verifier(leeway).verify(token)
        assert error.value.reason is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"merchant": None},
        {"iss": "https://other.test"},
        {"aud": "other"},
        {"sub": ""},
        {"sub": 7},
        {"merchant": "42"},
        {"merchant": 42},
        {"scope": ["bills.read"]},
        {"nbf": 4_000_000_000},
        {"exp": "soon"},
    ],
    ids=repr,
)
def test_refuses_claims(issuer: Issuer, changes: dict[str, Any]) -> None:
    """A token without a claim that is needed, or with a wrong one, is not valid."""
    assert reason_of(issuer, issuer.sign(issuer.claims(**changes))) is Reason.TOKEN_INVALID


def nested_header(_issuer: Issuer) -> str:
    """Return a token that overflows a parser."""
    return base64.urlsafe_b64encode(b"[" * 8000).decode() + ".e30.e30"


@pytest.mark.parametrize(
    "make",
    [
        lambda issuer: issuer.unsigned(),
        lambda issuer: issuer.signed_with_public_key(),
        lambda issuer: issuer.sign(issuer.claims(), kid="other"),
        lambda issuer: jwt.encode(issuer.claims(), issuer.key.private_key, algorithm="EdDSA"),
        lambda issuer: issuer.sign(issuer.claims(), crit=["b64"], b64=True),
        lambda issuer: issuer.sign(issuer.claims(), crit=["exp"]),
        lambda issuer: issuer.token()[:-8] + "AAAAAAAA",
        nested_header,
    ],
    ids=[
        "alg-none",
        "hs256-with-public-key",
        "unknown-key",
        "no-key",
        "crit-known",
        "crit-unknown",
        "bad-signature",
        "nested",
    ],
)
def test_refuses_forgeries(issuer: Issuer, make: Callable[[Issuer], str]) -> None:
    """A token that no key of the set has signed by its own algorithm is not valid."""
    assert reason_of(issuer, make(issuer)) is Reason.TOKEN_INVALID


@given(token=st.text(max_size=200))
def test_refuses_anything(issuer: Issuer, token: str) -> None:
    """Whatever a client sends as a token is refused, not an unexpected error."""
    assert reason_of(issuer, token) is Reason.TOKEN_INVALID


def test_other_algorithms(tmp_path: Path) -> None:
    """A deployment may use another algorithm; only its keys count then."""
    private = ec.generate_private_key(ec.SECP256R1())
    entry = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
    jwks = json.dumps({"keys": [entry | {"kid": "1"}]})
    signer = TokenSigner(private, key_id="1", algorithm="ES256", issuer=ISSUER, audience=AUDIENCE)
    token = signer.sign(merchant_id=MERCHANT, subject="app", scopes=[], lifetime=60)
    path = tmp_path / "jwks.json"
    path.write_text(jwks)

    assert verifier_of(path, "ES256").verify(token).merchant_id == MERCHANT
    with pytest.raises(KeysUnusable, match="no key of EdDSA"):
        KeySet.parse(jwks, "EdDSA")


SECRET_ENTRY = {"kty": "oct", "k": "c2VjcmV0", "kid": "1"}


@pytest.mark.parametrize(
    "jwks, algorithm, why",
    [
        ("nonsense", "EdDSA", "not a JWK set"),
        ("[]", "EdDSA", "not a JWK set"),
        ('{"keys": []}', "EdDSA", "no key of EdDSA"),
        ('{"keys": ["a"]}', "EdDSA", "not a JWK set"),
        ("[" * 100_000, "EdDSA", "not a JWK set"),
        ('{"keys": [{"kty": "OKP", "kid": "1"}]}', "EdDSA", "no key of EdDSA"),
        ('{"keys": [{"kty": "RSA", "n": 7, "e": [], "kid": "1"}]}', "RS256", "no key of RS256"),
        (json.dumps({"keys": [SECRET_ENTRY]}), "HS256", "HS256 is none of"),
        (json.dumps({"keys": [SECRET_ENTRY]}), "EdDSA", "public keys only"),
    ],
)
def test_refuses_key_sets(jwks: str, algorithm: str, why: str) -> None:
    """A set without usable public keys is refused when it is read."""
    with pytest.raises(ValueError, match=why):
        KeySet.parse(jwks, algorithm)


@pytest.mark.parametrize(
    "changes", [{"d": "AAAA"}, {"kid": None}, {"use": "enc"}, {"kid": "twice"}], ids=repr
)
def test_refuses_keys(issuer: Issuer, changes: dict[str, Any]) -> None:
    """A private key, one without an id or for another use, and a second of an id are refused."""
    [entry] = json.loads(issuer.key.jwks_path.read_text())["keys"]
    entry |= changes
    entries = [entry, entry] if changes.get("kid") else [entry]

    with pytest.raises(ValueError, match="key"):
        KeySet.parse(json.dumps({"keys": entries}), "EdDSA")


def test_leaves_out_what_is_not_for_tokens(issuer: Issuer) -> None:
    """Keys for encryption, of other algorithms and of unknown types do not spoil a set."""
    [entry] = json.loads(issuer.key.jwks_path.read_text())["keys"]
    private = ec.generate_private_key(ec.SECP256R1())
    other = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
    others = [entry | {"kid": "2", "use": "enc"}, other | {"kid": "3"}, {"kty": "AKP"}]
    keys = KeySet.parse(json.dumps({"keys": [*others, entry]}), "EdDSA")

    assert keys.find(entry["kid"])
    assert not keys.find("2")
    assert not keys.find("3")


def test_missing_file(tmp_path: Path) -> None:
    """A file that isn't there has no keys, and the error names it."""
    with pytest.raises(KeysUnusable, match=r"jwks\.json: No such file"):
        JwksFile(tmp_path / "jwks.json", "EdDSA").read()
