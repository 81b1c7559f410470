"""The development key on disk."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.auth.development import DevelopmentKey


def test_is_made_once(tmp_path: Path) -> None:
    """The first who asks makes the key; everybody later gets the same."""
    first, second = DevelopmentKey.open(tmp_path), DevelopmentKey.open(tmp_path)

    assert first.key_id == second.key_id
    [entry] = json.loads(first.jwks_path.read_text())["keys"]
    assert entry["kid"] == first.key_id
    assert "d" not in entry


def test_is_private(tmp_path: Path) -> None:
    """Nobody else may read the key, and nothing else is left behind."""
    DevelopmentKey.open(tmp_path)
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "auth").iterdir()}

    assert files == {"development_key.pem": 0o600, "jwks.json": 0o600}


def test_is_one_for_all_who_race(tmp_path: Path) -> None:
    """Those who start at the same time get the same key."""
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: DevelopmentKey.open(tmp_path).key_id, range(16)))

    assert len(set(keys)) == 1


def test_refuses_another_kind_of_key(tmp_path: Path) -> None:
    """A file that holds another kind of key is refused, not replaced."""
    path = tmp_path / "auth" / "development_key.pem"
    path.parent.mkdir()
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    with pytest.raises(ValueError, match="not an Ed25519 key"):
        DevelopmentKey.open(tmp_path)
