"""The server that carries the calls: the same interface, two ways to speak HTTP/2."""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import grpc
import grpc.aio

from server.settings import Settings, SettingsError, Transport
from server.tls import CertificateFiles, CertificateUnusable

MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024
"""A full import batch has a quarter of this; what is larger is RESOURCE_EXHAUSTED unread."""

MAX_METADATA_BYTES: Final = 16 * 1024
"""A token, a trace and some names have a tenth of this. One bound, not grpc's two: between those
it refuses at random."""

MAX_STREAMS_PER_CONNECTION: Final = 1024
"""A proxy carries its clients on few connections; the calls over it wait at the sender. How many
are worked on at once is bounded elsewhere, for the whole worker."""

KEEPALIVE_SECONDS: Final = 60
"""A client that is silent for so long is pinged: phones vanish without a word."""

KEEPALIVE_TIMEOUT_SECONDS: Final = 20
"""One that does not answer for so long is gone, and its connection closed."""

SHORTEST_PING_SECONDS: Final = 10
"""A client may ping as often; the fastest that a gRPC client can be set to."""

HANDSHAKE_SECONDS: Final = 20
"""A connection that has not shaken hands by then is closed: it costs memory and says nothing."""

_Maker: TypeAlias = Callable[..., grpc.aio.Server]


def open_server(settings: Settings) -> tuple[grpc.aio.Server, int]:
    """Return a server that is bound to its address and not yet started, and its port.

    Other workers serve on the port too. That no other service does, and takes half of the calls,
    is for whoever starts the workers to see to.

    Raises:
        SettingsError: The transport is not to be had, or the files of TLS cannot be used.
        OSError: The port is taken, or the address not of this machine.
    """
    credentials = _credentials(settings)
    make = _maker(settings.transport, with_tls=credentials is not None)
    server = make(options=_options())
    address = f"{settings.host}:{settings.port}"
    try:
        if credentials is None:
            return server, server.add_insecure_port(address)
        return server, server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(
            f"cannot listen on {address}: it is taken, or not of this machine: "
            "choose another with --port or PATRON_PORT"
        ) from error


def check_transport(settings: Settings) -> None:
    """Check what `open_server` needs of the settings, without a port; raises SettingsError too."""
    _maker(settings.transport, with_tls=_credentials(settings) is not None)


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Return what TLS is done with; None when there is none to do."""
    chain, key, authorities = (
        settings.tls_cert_file,
        settings.tls_key_file,
        settings.tls_client_ca_file,
    )
    if chain is None:
        for variable, file in (
            ("PATRON_TLS_KEY_FILE", key),
            ("PATRON_TLS_CLIENT_CA_FILE", authorities),
        ):
            if file is not None:
                raise SettingsError("PATRON_TLS_CERT_FILE", f"is required with {variable}")
        return None
    if key is None:
        raise SettingsError("PATRON_TLS_KEY_FILE", "is required with PATRON_TLS_CERT_FILE")
    try:
        return CertificateFiles(chain, key, authorities).credentials()
    except CertificateUnusable as error:
        raise SettingsError("PATRON_TLS_CERT_FILE", f"cannot be served with: {error}") from error


def _maker(transport: Transport, *, with_tls: bool) -> _Maker:
    if transport is Transport.GRPCIO or (transport is Transport.AUTO and with_tls):
        return grpc.aio.server
    if with_tls:
        raise SettingsError(
            "PATRON_TRANSPORT", "is native, which knows no TLS: set it to grpcio or auto"
        )
    native = _native_maker()
    if native is None and transport is Transport.NATIVE:
        raise SettingsError(
            "PATRON_TRANSPORT", "is native, which is not installed here: set it to grpcio or auto"
        )
    return native or grpc.aio.server


def _native_maker() -> _Maker | None:
    try:
        import pygrpc_native.aio  # noqa: PLC0415 - it has no wheel for some machines
    except ImportError:
        return None
    # One thread of its own is enough beside the one of Python: more cores are for more workers.
    return partial(pygrpc_native.aio.Server, io_threads=1)


def _options() -> list[tuple[str, int]]:
    """Return options that both transports take; native ignores those of pings and handshakes."""
    return [
        ("grpc.so_reuseport", 1),
        ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.max_concurrent_streams", MAX_STREAMS_PER_CONNECTION),
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
        ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", SHORTEST_PING_SECONDS * 1000),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
    ]
