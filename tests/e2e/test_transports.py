"""Both transports behave the same at the port, and grpcio serves TLS."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pygrpc_native.aio
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio as grpc_health

from server import transports
from server.settings import Settings, SettingsError
from server.transports import MAX_METADATA_BYTES, MAX_REQUEST_BYTES, open_server
from tests.support.certificates import Authority, Certificate

CHECK = "/grpc.health.v1.Health/Check"
PLAIN = ["native", "grpcio"]


@asynccontextmanager
async def serving(**options: object) -> AsyncIterator[int]:
    """Serve health on a transport; lends the port."""
    server, port = open_server(Settings.load({}, **{"port": 0} | options))
    health_pb2_grpc.add_HealthServicer_to_server(grpc_health.HealthServicer(), server)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


async def answer(
    port: int,
    credentials: grpc.ChannelCredentials | None = None,
    *,
    request: bytes = b"",
    metadata: tuple[tuple[str, str], ...] = (),
) -> grpc.StatusCode:
    """Return the code of a call on a new connection."""
    # Without it, channels to the same port would share their connections.
    options = [("grpc.use_local_subchannel_pool", 1)]
    target = f"localhost:{port}"
    if credentials is None:
        channel = grpc.aio.insecure_channel(target, options=options)
    else:
        channel = grpc.aio.secure_channel(target, credentials, options=options)
    async with channel:
        check: Any = channel.unary_unary(CHECK)
        call = check(request, metadata=metadata, timeout=10)
        code: grpc.StatusCode = await call.code()
        return code


def trusting(authority: Authority, client: Certificate | None = None) -> grpc.ChannelCredentials:
    """Return what a client has that trusts the authority."""
    if client is None:
        return grpc.ssl_channel_credentials(authority.certificate)
    return grpc.ssl_channel_credentials(authority.certificate, client.key, client.chain)


OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE
RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("transport, native", [("auto", True), ("native", True), ("grpcio", False)])
async def test_the_setting_decides(transport: str, native: bool) -> None:
    """Without TLS, auto is the native transport."""
    server, _ = open_server(Settings.load({}, port=0, transport=transport))
    assert isinstance(server, pygrpc_native.aio.Server) is native
    await server.stop(0)


@pytest.mark.parametrize("transport", PLAIN)
async def test_workers_share_a_port(transport: str) -> None:
    """Two servers serve on one port."""
    async with (
        serving(transport=transport) as port,
        serving(transport=transport, port=port) as same,
    ):
        assert same == port
        assert await answer(port) is OK


@pytest.mark.parametrize("transport", PLAIN)
async def test_a_port_of_somebody_else(transport: str) -> None:
    """A port on which somebody listens for themselves is an error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: it is taken"):
            open_server(Settings.load({}, transport=transport, port=port))


@pytest.mark.parametrize("transport", PLAIN)
async def test_what_is_too_large_is_refused(transport: str) -> None:
    """One byte more than a message or the metadata may have is refused, and others are served."""
    field = b"\x0a" + bytes.fromhex("fbffff01")  # The name of a service, four bytes of length.
    largest = field + b"x" * (MAX_REQUEST_BYTES - len(field))
    many = tuple((f"name-{number}", "value") for number in range(1000))
    async with serving(transport=transport) as port:
        assert await answer(port, request=largest) is grpc.StatusCode.NOT_FOUND
        assert await answer(port, request=largest + b"x") is RESOURCE_EXHAUSTED
        large = (("large", "x" * (MAX_METADATA_BYTES + 1)),)
        # The native transport says so by HTTP (431), which is UNKNOWN to a client of grpcio.
        refused = grpc.StatusCode.UNKNOWN if transport == "native" else RESOURCE_EXHAUSTED
        assert await answer(port, metadata=large) is refused
        assert await answer(port, metadata=many) is refused
        assert await answer(port, metadata=(("large", "x" * 12_000),)) is OK


async def test_tls(tmp_path: Path) -> None:
    """With a certificate, clients that trust its authority are served, and nobody in the clear."""
    authority = Authority()
    chain, key = authority.issue().write(tmp_path)
    async with serving(tls_cert_file=chain, tls_key_file=key) as port:
        assert await answer(port, trusting(authority)) is OK
        assert await answer(port, trusting(Authority("another"))) is UNAVAILABLE
        assert await answer(port) is UNAVAILABLE


async def test_mutual_tls(tmp_path: Path) -> None:
    """With authorities of clients, a client needs a certificate of theirs."""
    authority, clients = Authority(), Authority("of clients")
    chain, key = authority.issue().write(tmp_path)
    accepted = tmp_path / "clients.pem"
    accepted.write_bytes(clients.certificate)
    async with serving(tls_cert_file=chain, tls_key_file=key, tls_client_ca_file=accepted) as port:
        assert await answer(port, trusting(authority, clients.issue("app"))) is OK
        assert await answer(port, trusting(authority)) is UNAVAILABLE
        assert await answer(port, trusting(authority, authority.issue("app"))) is UNAVAILABLE


async def test_a_certificate_is_replaced_without_a_restart(tmp_path: Path) -> None:
    """New files hold from the next connection on; while they do not fit, the last ones do."""
    first, second = Authority("first"), Authority("second")
    chain, key = first.issue().write(tmp_path)
    async with serving(tls_cert_file=chain, tls_key_file=key) as port:
        assert await answer(port, trusting(first)) is OK
        renewed = second.issue()
        chain.write_bytes(renewed.chain)
        assert await answer(port, trusting(first)) is OK
        key.unlink()
        assert await answer(port, trusting(first)) is OK
        key.write_bytes(renewed.key)
        assert await answer(port, trusting(second)) is OK
        assert await answer(port, trusting(first)) is UNAVAILABLE


async def test_half_a_handshake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that stops in the middle of its handshake is closed, and others are served."""
    monkeypatch.setattr(transports, "HANDSHAKE_SECONDS", 1)
    authority = Authority()
    chain, key = authority.issue().write(tmp_path)
    async with serving(tls_cert_file=chain, tls_key_file=key) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # A ClientHello begins.
        assert await answer(port, trusting(authority)) is OK
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "native-with-tls": (
        {"transport": "native", "tls_cert_file": "chain.pem", "tls_key_file": "key.pem"},
        "PATRON_TRANSPORT is native, which knows no TLS: set it to grpcio or auto",
    ),
    "no-key": (
        {"tls_cert_file": "chain.pem"},
        "PATRON_TLS_KEY_FILE is required with PATRON_TLS_CERT_FILE",
    ),
    "no-certificate": (
        {"tls_key_file": "key.pem"},
        "PATRON_TLS_CERT_FILE is required with PATRON_TLS_KEY_FILE",
    ),
    "authorities-alone": (
        {"tls_client_ca_file": "ca.pem"},
        "PATRON_TLS_CERT_FILE is required with PATRON_TLS_CLIENT_CA_FILE",
    ),
    "another-key": (
        {"tls_cert_file": "chain.pem", "tls_key_file": "other.pem"},
        "other.pem is not the key of",
    ),
    "key-for-certificate": (
        {"tls_cert_file": "key.pem", "tls_key_file": "key.pem"},
        "key.pem holds no certificate as PEM",
    ),
    "certificate-for-key": (
        {"tls_cert_file": "chain.pem", "tls_key_file": "chain.pem"},
        "chain.pem holds no open private key as PEM",
    ),
    "certificate-of-no-algorithm": (
        {"tls_cert_file": "strange-chain.pem", "tls_key_file": "key.pem"},
        "strange-chain.pem has a public key that cannot be read",
    ),
    "key-of-no-algorithm": (
        {"tls_cert_file": "chain.pem", "tls_key_file": "strange-key.pem"},
        "strange-key.pem holds no open private key as PEM",
    ),
    "authorities": (
        {"tls_cert_file": "chain.pem", "tls_key_file": "key.pem", "tls_client_ca_file": "key.pem"},
        "key.pem holds no certificate as PEM",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_settings_that_do_not_fit_together(case: str, tmp_path: Path) -> None:
    """What cannot be served with is said by its variable, before anything is served."""
    given, problem = WRONG[case]
    authority = Authority()
    authority.issue().write(tmp_path)
    (tmp_path / "other.pem").write_bytes(authority.issue().key)
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    strange = authority.issue_of_no_algorithm()
    (tmp_path / "strange-chain.pem").write_bytes(strange.chain)
    (tmp_path / "strange-key.pem").write_bytes(strange.key)
    options = {
        name: tmp_path / value if name.startswith("tls") else value for name, value in given.items()
    }
    with pytest.raises(SettingsError, match=problem):
        open_server(Settings.load({}, port=0, **options))


async def test_where_native_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its wheel auto is grpcio, and native an error that says what to set."""
    monkeypatch.setitem(sys.modules, "pygrpc_native.aio", None)
    async with serving() as port:
        assert await answer(port) is OK
    with pytest.raises(SettingsError, match="not installed here: set it to grpcio or auto"):
        open_server(Settings.load({}, port=0, transport="native"))
