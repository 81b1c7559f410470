"""A port that is held for several processes."""

import socket
from collections.abc import Iterator

import pytest

from server.workers import held_port


def listening(port: int, *options: int) -> socket.socket:
    """Return a socket that listens on the port, with these options set."""
    endpoint = socket.socket()
    try:
        for option in options:
            endpoint.setsockopt(socket.SOL_SOCKET, option, 1)
        endpoint.bind(("127.0.0.1", port))
        endpoint.listen()
    except OSError:
        endpoint.close()
        raise
    return endpoint


@pytest.fixture
def port() -> Iterator[int]:
    """Hold any free port."""
    with held_port("127.0.0.1", 0) as port:
        yield port


def test_those_who_share_it_get_it(port: int) -> None:
    """Several listen on the held port, and one of them answers: what holds it does not."""
    with listening(port, socket.SO_REUSEPORT) as one, listening(port, socket.SO_REUSEPORT):
        one.close()
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


@pytest.mark.parametrize("options", [(), (socket.SO_REUSEADDR,)])
def test_nobody_else_gets_it(port: int, options: tuple[int, ...]) -> None:
    """While nobody listens, and while somebody does, the port is not free to others."""
    with pytest.raises(OSError, match="in use"):
        listening(port, *options)
    with (
        listening(port, socket.SO_REUSEPORT, socket.SO_REUSEADDR),
        pytest.raises(OSError, match="in use"),
    ):
        listening(port, *options)


@pytest.mark.parametrize("options", [(), (socket.SO_REUSEPORT,), (socket.SO_REUSEADDR,)])
def test_a_taken_port_is_refused(options: tuple[int, ...]) -> None:
    """The port of another server is not joined, not even when that one would share it."""
    with listening(0, *options) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: it is taken"):
            held_port("127.0.0.1", port).__enter__()


def test_a_port_held_by_another_is_refused(port: int) -> None:
    """So is one that another supervisor holds, whose workers don't listen yet."""
    with pytest.raises(OSError, match="it is taken"):
        held_port("127.0.0.1", port).__enter__()


def test_is_given_back() -> None:
    """A port is free again when it is no longer held, in spite of connections that linger."""
    with (
        held_port("127.0.0.1", 0) as held,
        listening(held, socket.SO_REUSEPORT, socket.SO_REUSEADDR) as server,
        socket.create_connection(("127.0.0.1", held), timeout=5),
    ):
        server.accept()[0].close()  # The server's end, which closes first, is what lingers.
    with held_port("127.0.0.1", held) as again:
        assert again == held


@pytest.mark.parametrize("host", ["203.0.113.1", "no such host"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    """What cannot be listened on is said before anything is started."""
    with pytest.raises(OSError, match=f"cannot listen on {host}:0"):
        held_port(host, 0).__enter__()
