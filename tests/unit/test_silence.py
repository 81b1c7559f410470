"""What is told of a server that does not answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import urllib3

from flags.silence import unanswered


@contextmanager
def listening(answer: bytes | None) -> Iterator[int]:
    """Lend the port of a server that says this to whoever connects; None: nothing, for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while answer is not None:
                try:
                    connection, _ = server.accept()
                except OSError:  # It was closed.
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def told(url: str) -> str:
    """Return what is told of a server that must not answer."""
    try:
        urllib3.request("GET", url, timeout=0.3, retries=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        return unanswered(url, error)
    raise AssertionError(url)


def test_nobody_listens() -> None:
    """It is told where, without the user, the password and the path, and why."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        message = told(f"http://anna:secret@{place}/prefix/api?token=secret")

    assert message == f"does not answer at http://{place}: connection refused"


def test_no_such_host() -> None:
    """A name that is none is told as that."""
    message = told("http://nowhere.invalid/api")

    assert message.startswith("does not answer at http://nowhere.invalid: ")
    assert "Error" not in message


@pytest.mark.parametrize(
    "scheme, answer, why",
    [
        ("http", None, "timed out"),
        ("http", b"", "it ended the connection"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "it ended the connection"),
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks no TLS that is understood"),
    ],
)
def test_somebody_else_listens(scheme: str, answer: bytes | None, why: str) -> None:
    """Whatever goes wrong, it is told without a class of Python."""
    with listening(answer) as port:
        message = told(f"{scheme}://127.0.0.1:{port}")

    assert message == f"does not answer at {scheme}://127.0.0.1:{port}: {why}"
