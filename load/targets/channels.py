"""Channels to a target: what carries bytes, and does not care for messages."""

import json
import ssl
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from load.jobs import Credentials, Target
from load.targets.trust import trusting

_NOT_TLS: Final = "WRONG_VERSION_NUMBER"
"""How TLS tells that the other side says something else."""
_LEAST_KEEPALIVE = 10
"""In seconds. Go's gRPC does not ping more often: servers take that for an attack."""
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)


def open_channel(target: Target) -> grpc.aio.Channel:
    """Return a channel with a connection of its own, which is made when it is first used.

    Its methods are called without serializers: they take and return bytes. Needs a running event
    loop; close it when done.

    Raises:
        TargetError: The certificate of a server that is to be trusted blindly cannot be had.
    """
    target = trusting(target)
    if target.credentials is None:
        return grpc.aio.insecure_channel(address_of(target), _options(target), _compression(target))
    return grpc.aio.secure_channel(
        address_of(target), _secrets(target.credentials), _options(target), _compression(target)
    )


def synchronous_channel(target: Target) -> grpc.Channel:
    """Return a channel like those of `open_channel` that blocks.

    Raises:
        TargetError: The same.
    """
    target = trusting(target)
    if target.credentials is None:
        return grpc.insecure_channel(address_of(target), _options(target), _compression(target))
    return grpc.secure_channel(
        address_of(target), _secrets(target.credentials), _options(target), _compression(target)
    )


def address_of(target: Target) -> str:
    """Return the host as gRPC for Python takes it: Go's `passthrough` is what it does anyway."""
    return target.host.removeprefix("passthrough:///")


def reason_of(code: grpc.StatusCode, details: str | None) -> str:
    """Return in one line why a call failed that should tell whether a server can be reached."""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "no answer in time"
    if _NOT_TLS in (details or ""):
        return "it does not speak TLS; --insecure calls it without"
    first, *_ = (details or "").splitlines() or [""]
    # Of all the layers that gRPC tells, the innermost is the reason.
    reason = first.rpartition("last error: ")[2].removeprefix("UNKNOWN: ")
    return reason if code is grpc.StatusCode.UNAVAILABLE else f"{code.name}: {reason}"


def _options(target: Target) -> Sequence[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        # Without it, channels to the same address share one connection.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", target.max_receive),
        ("grpc.max_send_message_length", target.max_send),
    ]
    if target.authority:
        options.append(("grpc.default_authority", target.authority))
    if target.credentials and target.credentials.server_name:
        options.append(("grpc.ssl_target_name_override", target.credentials.server_name))
    if target.keepalive:
        milliseconds = int(max(target.keepalive, _LEAST_KEEPALIVE) * 1000)
        options += [
            ("grpc.keepalive_time_ms", milliseconds),
            ("grpc.keepalive_timeout_ms", milliseconds),
            # As in Go: as often as it takes, however long a stream is silent.
            ("grpc.http2.max_pings_without_data", 0),
        ]
    if target.load_balancing:
        config: Any = {"loadBalancingConfig": [{target.load_balancing: {}}]}
        options.append(("grpc.service_config", json.dumps(config)))
    return options


def _compression(target: Target) -> grpc.Compression:
    return grpc.Compression.Gzip if target.compression else grpc.Compression.NoCompression


@lru_cache(maxsize=16)
def _secrets(credentials: Credentials) -> grpc.ChannelCredentials:
    # One for all channels of a target: the roots of a system take a while to read.
    roots = _system_roots() if credentials.roots is None else credentials.roots
    return grpc.ssl_channel_credentials(roots, credentials.key, credentials.certificate)


@cache
def _system_roots() -> bytes | None:
    """Return the certificates that this machine trusts, as PEM; None where none are found.

    gRPC for Python has some of its own, and would not trust those that a company adds.
    """
    for path in filter(None, (ssl.get_default_verify_paths().cafile, *_BUNDLES)):
        try:
            return Path(path).read_bytes()
        except OSError:
            continue
    return None
