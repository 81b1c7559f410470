"""A server that is trusted blindly.

gRPC for Python always verifies. So the certificate of the server is fetched first, and then that
one alone is trusted, under a name that is in it.
"""

import re
import socket
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from load.errors import TargetError
from load.jobs import Credentials, Target

_PORT: Final = 443
"""gRPC's, where none is given."""
_ADDRESS = re.compile(
    r"(?:dns:(?:///)?|ipv[46]:|passthrough:///)?(\[[^\]]+\]|[^:/,\[\]]+)(?::(\d+))?"
)
_SOCKET = re.compile(r"unix:(?://)?(.+)")
_ANY_NAME = "any"
"""Stands for the `*` of a certificate."""


def trusting(target: Target) -> Target:
    """Return the target with credentials by which it is trusted, if it is not to be verified.

    Raises:
        TargetError: It cannot be reached, or has a certificate that can't be trusted even so, such
            as one that has expired.
    """
    credentials = target.credentials
    if credentials is None or credentials.verify or credentials.roots is not None:
        return target
    trusted = _trusted(target.host, credentials, target.connect_timeout)
    authority = target.authority
    if trusted.server_name and not authority:
        # Else gRPC would send the name in the certificate. It takes no port here.
        authority = credentials.server_name or _host_of(target.host)
    return replace(target, credentials=trusted, authority=authority)


@cache
def _trusted(host: str, credentials: Credentials, timeout: float) -> Credentials:
    try:
        certificate = ssl.DER_cert_to_PEM_cert(_certificate(host, credentials, timeout))
        names = _names(host, credentials, timeout, certificate)
    except ssl.SSLCertVerificationError as error:
        raise TargetError(
            f"skipTLS: the certificate of {host} cannot be trusted even so: {error.verify_message}"
        ) from None
    except ssl.SSLError as error:
        raise TargetError(
            f"skipTLS: {host} does not speak TLS as it should: {error.reason or error}"
        ) from None
    except TimeoutError:
        raise TargetError(f"skipTLS: {host} did not tell its certificate in time") from None
    except OSError as error:
        raise TargetError(f"skipTLS: cannot reach {host}: {error.strerror or error}") from None
    return replace(
        credentials, roots=certificate.encode(), server_name=_name(host, credentials, names)
    )


def _certificate(host: str, credentials: Credentials, timeout: float) -> bytes:
    """Return the certificate that a server shows, in DER; nothing of it is verified."""
    context = _context(credentials)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with _handshake(host, context, credentials.server_name, timeout) as connection:
        return connection.getpeercert(binary_form=True) or b""


def _names(host: str, credentials: Credentials, timeout: float, trusted: str) -> Sequence[str]:
    """Return the names in the certificate of a server, which is verified by itself."""
    context = _context(credentials)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=trusted)
    with _handshake(host, context, credentials.server_name, timeout) as connection:
        # Only of a certificate that is verified does Python tell what is in it.
        told: Mapping[str, Any] = connection.getpeercert() or {}
    alternatives = told.get("subjectAltName", ())
    return [name for kind, name in alternatives if kind in ("DNS", "IP Address")] or [
        name for part in told.get("subject", ()) for key, name in part if key == "commonName"
    ]


def _name(host: str, credentials: Credentials, names: Sequence[str]) -> str:
    """Return a name that the certificate holds for; empty: it does for that of the host."""
    if _host_of(host).strip("[]") in names:
        return ""
    if credentials.server_name in names:
        return credentials.server_name
    if not names:
        raise TargetError(f"skipTLS: the certificate of {host} has no name to trust it by")
    return names[0].replace("*", _ANY_NAME)


def _context(credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    if credentials.certificate and credentials.key:
        # It takes files alone.
        with tempfile.TemporaryDirectory() as folder:
            pair = Path(folder, "pair.pem")
            pair.write_bytes(credentials.key + b"\n" + credentials.certificate)
            context.load_cert_chain(pair)
    return context


@contextmanager
def _handshake(
    host: str, context: ssl.SSLContext, server_name: str, timeout: float
) -> Iterator[ssl.SSLSocket]:
    with (
        _connect(host, timeout or None) as raw,
        context.wrap_socket(raw, server_hostname=server_name or _host_of(host).strip("[]")) as safe,
    ):
        yield safe


def _connect(host: str, timeout: float | None) -> socket.socket:
    if path := _SOCKET.fullmatch(host):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(path[1])
        return connection
    if address := _ADDRESS.fullmatch(host):
        name, port = address.groups()
        return socket.create_connection((name.strip("[]"), int(port or _PORT)), timeout)
    raise TargetError(f"skipTLS: {host} is no address of one server, whose certificate can be had")


def _host_of(host: str) -> str:
    """Return the name or address in a host, an IPv6 one in brackets."""
    address = _ADDRESS.fullmatch(host)
    return address[1] if address else "localhost"
