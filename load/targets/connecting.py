"""How a server is connected to, from the options of a run."""

import ssl
from pathlib import Path
from typing import Final

from load.config.checks import check_certificate
from load.config.model import Config
from load.config.sizes import parse_size
from load.errors import ConfigError
from load.jobs import Credentials, Target
from load.targets.trust import trusting

_SECOND: Final = 1_000_000_000
_LARGEST: Final = 2**31 - 1
"""The largest limit that gRPC takes; beyond it there is none."""
_POLICIES: Final = ("pick_first", "round_robin", "weighted_round_robin")
"""Those of gRPC that need no further configuration."""


def target_of(config: Config) -> Target:
    """Return the target of a run; the files of its TLS have been read.

    With `skipTLS`, the certificate of the server has been fetched.

    Raises:
        ConfigError: An option cannot be used; the text names it.
        TargetError: The certificate of a server that isn't to be verified cannot be had.
    """
    if not config.host:
        raise ConfigError("host: which server is called has to be given")
    if config.lb_strategy and config.lb_strategy not in _POLICIES:
        raise ConfigError(
            f"lb-strategy: {config.lb_strategy!r} is none; there is {', '.join(_POLICIES)}"
        )
    return trusting(
        Target(
            host=config.host,
            credentials=_credentials(config),
            authority=config.authority,
            connect_timeout=config.connect_timeout / _SECOND,
            keepalive=config.keepalive / _SECOND,
            compression=config.enable_compression,
            max_receive=_size("max-recv-message-size", config.max_recv_message_size),
            max_send=_size("max-send-message-size", config.max_send_message_size),
            load_balancing=config.lb_strategy,
        )
    )


def _size(key: str, text: str) -> int:
    if not text:
        return -1
    try:
        size = parse_size(text)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
    return size if size <= _LARGEST else -1


def _credentials(config: Config) -> Credentials | None:
    check_certificate(config)
    if config.insecure:
        return None
    if config.cname and ":" in config.authority and config.authority != config.cname:
        raise ConfigError("authority: can have no port when cname is another name")
    certificate, key = _pair(config) if config.cert else (None, None)
    return Credentials(
        roots=_roots(config.cacert) if config.cacert and not config.skip_tls else None,
        certificate=certificate,
        key=key,
        server_name=config.cname,
        verify=not config.skip_tls,
    )


def _roots(path: str) -> bytes:
    pem = _read("cacert", path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem.decode())
    except (ssl.SSLError, UnicodeDecodeError):
        raise ConfigError(f"cacert: {path} has no certificate in PEM") from None
    return pem


def _pair(config: Config) -> tuple[bytes, bytes]:
    certificate, key = _read("cert", config.cert), _read("key", config.key)
    try:
        # Without the password, it would ask for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            config.cert, config.key, password=""
        )
    except ssl.SSLError as error:
        raise ConfigError(
            f"cert: {config.cert} and key {config.key} are no certificate and its key in PEM,"
            f" without a password: {error.reason or error}"
        ) from None
    return certificate, key


def _read(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: cannot read {path}: {error.strerror}") from None
