"""Where the keys are: a file, or a URL of the identity provider."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Final, Protocol

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from server.auth.keys import KeySet, KeysUnusable

_LARGEST: Final = 256 * 1024
"""How many bytes a JWK set has at most; one of ten RSA keys has about 5,000."""

_OK: Final = 200


class KeySource(Protocol):
    """Where the keys are read from, again and again."""

    def read(self) -> KeySet:
        """Return the keys as they are now; blocks, for a bounded time.

        Raises:
            KeysUnusable: They cannot be read, or not be used.
        """


class JwksFile:
    """A JWK set in a file."""

    def __init__(self, path: Path, algorithm: str) -> None:
        self._path = path
        self._algorithm = algorithm

    def read(self) -> KeySet:
        """Return the keys that are in the file now; raises as its protocol says."""
        try:
            with self._path.open("rb") as file:
                content = file.read(_LARGEST + 1)
        except OSError as error:
            raise KeysUnusable(f"{self._path}: {error.strerror}") from error
        return _parse(content, self._algorithm)


class JwksUrl:
    """A JWK set behind a URL. Redirects are not followed: the keys are where the setting says."""

    def __init__(self, url: str, algorithm: str, *, seconds: float = 5.0) -> None:
        """Read keys from a URL.

        Args:
            url: Of http or https, without a user; the system must trust the certificate.
            algorithm: The algorithm of the keys.
            seconds: How long the whole exchange may take, however slowly bytes drip.
        """
        self._url = parse_url(url)
        self._algorithm = algorithm
        self._seconds = seconds

    def read(self) -> KeySet:
        """Return the keys that the URL answers now; raises as its protocol says."""
        try:
            status, content = self._get()
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            # The text of these errors may repeat the URL, and with it a secret in its query.
            raise KeysUnusable(f"there is no answer ({type(error).__name__})") from error
        if status != _OK:
            raise KeysUnusable(f"the answer has status {status}, not {_OK}")
        return _parse(content, self._algorithm)

    def _get(self) -> tuple[int, bytes]:
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        connection = kind(self._url.host or "", self._url.port, timeout=self._seconds)
        with closing(connection), _cut_off(connection, self._seconds) as hold:
            connection.request(
                "GET",
                self._url.request_uri,
                headers={"Accept": "application/json"},
                preload_content=False,
                decode_content=False,
            )
            # A connection that its server will close is let go of while the answer still comes.
            hold(connection.sock)
            response = connection.getresponse()
            return response.status, response.read(_LARGEST + 1)


@contextmanager
def _cut_off(
    connection: HTTPConnection, seconds: float
) -> Iterator[Callable[[socket.socket | None], None]]:
    """End whatever waits for the connection, or for a socket that is held, after so many seconds.

    The time-out of a socket begins anew with every byte.

    Raises:
        TimeoutError: It did not end by itself.
    """
    held: list[socket.socket | None] = []
    late = threading.Event()

    def cut() -> None:
        late.set()
        for open_socket in (connection.sock, *held):
            if open_socket is not None:
                # Around TLS, which a second thread must not touch.
                with suppress(OSError):
                    socket.socket.shutdown(open_socket, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield held.append
        if late.is_set():
            raise TimeoutError
    finally:
        timer.cancel()


def _parse(content: bytes, algorithm: str) -> KeySet:
    if len(content) > _LARGEST:
        raise KeysUnusable(f"it has more than {_LARGEST} bytes")
    return KeySet.parse(content, algorithm)
