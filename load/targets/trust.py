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
    certificate, names = _seen(target.host, credentials, target.connect_timeout)
    host = _host_of(target.host)
    authority = target.authority or credentials.server_name
    server_name = ""
    if authority or host.strip("[]") not in names:
        # Under what it is asked for: gRPC takes a port there only of the name that it verifies.
        authority = authority or host
        server_name = _usable(names, [_host_of(authority), host.strip("[]")], target.host)
        if _host_of(authority) != server_name and ":" in authority.rpartition("]")[2]:
            raise TargetError(
                f"authority: with skipTLS it can have no port, as the certificate of {target.host}"
                f" is that of {server_name}"
            )
    trusted = replace(credentials, roots=certificate.encode(), server_name=server_name)
    return replace(target, credentials=trusted, authority=authority)


def _seen(host: str, credentials: Credentials, timeout: float) -> tuple[str, Sequence[str]]:
    """Return the certificate that a server shows, in PEM, and the names in it."""
    try:
        certificate = ssl.DER_cert_to_PEM_cert(_certificate(host, credentials, timeout))
        return certificate, _names(host, credentials, timeout, certificate)
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


def _usable(names: Sequence[str], wanted: Sequence[str], host: str) -> str:
    """Return a name that a certificate holds for, one of those that are wanted if it can be."""
    if not names:
        raise TargetError(f"skipTLS: the certificate of {host} has no name to trust it by")
    known = [name for name in wanted if name in names]
    return known[0] if known else names[0].replace("*", _ANY_NAME)


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
