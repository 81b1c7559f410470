"""The certificate that gRPC is served with, and those that its clients need."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_Stamp: TypeAlias = tuple[tuple[int, int, int], ...]
"""Of each file what changes with its content: inode, size, nanoseconds of the last change."""

_UNREADABLE: Final = (UnsupportedAlgorithm, x509.InvalidVersion, TypeError, ValueError)
"""What cryptography raises of content; TypeError: a key with a password, which nobody can type."""

_log = structlog.get_logger("patron.tls")


class CertificateUnusable(ValueError):
    """Files cannot be served with; the text says which and why, and no secret."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate chain, its private key and, for mTLS, the authorities of clients, all PEM."""

    chain: Path
    key: Path
    client_authorities: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that follow the files: a changed one holds from the next client on.

        Files that do not fit together, as while they are being replaced, are passed over.

        Raises:
            CertificateUnusable: A file cannot be read, or they do not fit together.
        """
        followed = _Followed(self)
        return grpc.dynamic_ssl_server_credentials(
            followed.configuration,
            followed.changed,  # type: ignore[arg-type]  # the stubs don't know of None
            require_client_authentication=self.client_authorities is not None,
        )

    def stamp(self) -> _Stamp:
        """Return what differs when a file differs; nothing while one is not there."""
        try:
            stats = [path.stat() for path in self._paths]
        except OSError:
            return ()
        return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats)

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Return what is in the files now.

        Raises:
            CertificateUnusable: A file cannot be read, or they do not fit together.
        """
        try:
            chain, key, *authorities = (path.read_bytes() for path in self._paths)
        except OSError as error:
            raise CertificateUnusable(f"{error.filename}: {error.strerror}") from error
        certificate = _certificates(self.chain, chain)[0]
        try:
            public_key = certificate.public_key()
        except _UNREADABLE:
            raise CertificateUnusable(
                f"{self.chain} has a public key that cannot be read"
            ) from None
        try:
            fits = load_pem_private_key(key, password=None).public_key() == public_key
        except _UNREADABLE:
            raise CertificateUnusable(f"{self.key} holds no open private key as PEM") from None
        if not fits:
            raise CertificateUnusable(f"{self.key} is not the key of {self.chain}")
        for path, content in zip(self._paths[2:], authorities, strict=True):
            _certificates(path, content)
        return grpc.ssl_server_certificate_configuration([(key, chain)], *authorities)

    @property
    def _paths(self) -> tuple[Path, ...]:
        return (self.chain, self.key, *filter(None, [self.client_authorities]))


class _Followed:
    """Files as they were last read."""

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        # Before reading: what changes in between is read again.
        self._stamp = files.stamp()
        self.configuration = files.read()

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what the files hold now; None when it is unchanged or cannot be used.

        Asked by grpc before every handshake, in a thread of its own.
        """
        stamp = self._files.stamp()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            configuration = self._files.read()
        except CertificateUnusable as error:
            _log.warning("certificate not read, the last one stays", problem=str(error))
            return None
        _log.info("certificate read again")
        return configuration


def _certificates(path: Path, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except _UNREADABLE:
        raise CertificateUnusable(f"{path} holds no certificate as PEM") from None
