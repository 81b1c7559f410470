"""Certificate authorities that tests make for themselves."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_ED25519, _NO_ALGORITHM = b"\x2b\x65\x70", b"\x2b\x65\x7f"
"""Object identifiers in DER: 1.3.101.112 of RFC 8410, and 1.3.101.127, which is nobody's."""


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as PEM."""

    chain: bytes
    key: bytes

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both to files, and return these."""
        chain, key = folder / "chain.pem", folder / "key.pem"
        chain.write_bytes(self.chain)
        key.write_bytes(self.key)
        return chain, key


class Authority:
    """Signs certificates for loopback; they hold for an hour."""

    def __init__(self, name: str = "an authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._certificate = self._sign(self._name, self._key.public_key(), is_authority=True)
        self.certificate = self._certificate.public_bytes(Encoding.PEM)

    def issue(
        self, name: str = "localhost", *, hosts: Sequence[str] = (), expired: bool = False
    ) -> Certificate:
        """Return a certificate for a server on loopback, or one with these names; or a client's."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._sign(
            _name(name), key.public_key(), is_authority=False, hosts=hosts, expired=expired
        )
        return Certificate(signed.public_bytes(Encoding.PEM), _pem(key))

    def own(self) -> Certificate:
        """Return the certificate of the authority itself, which is signed by its own key."""
        return Certificate(self.certificate, _pem(self._key))

    def issue_of_no_algorithm(self) -> Certificate:
        """Return a certificate and its key, both well-formed, of an algorithm that is unknown."""
        key = ed25519.Ed25519PrivateKey.generate()
        signed = self._sign(self._name, key.public_key(), is_authority=False)
        return Certificate(
            _pem_of_no_algorithm("CERTIFICATE", signed.public_bytes(Encoding.DER)),
            _pem_of_no_algorithm(
                "PRIVATE KEY", key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            ),
        )

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey,
        *,
        is_authority: bool,
        hosts: Sequence[str] = (),
        expired: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC) - timedelta(days=expired)
        names = [x509.DNSName(host) for host in hosts]
        loopback = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names or loopback), critical=False)
            .sign(self._key, SHA256())
        )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pem_of_no_algorithm(kind: str, der: bytes) -> bytes:
    content = base64.encodebytes(der.replace(_ED25519, _NO_ALGORITHM)).decode()
    return f"-----BEGIN {kind}-----\n{content}-----END {kind}-----\n".encode()
