"""One port for several processes."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def held_port(host: str, port: int) -> Iterator[int]:
    """Hold a port on which other processes of this user listen, by SO_REUSEPORT; lend its number.

    Nobody else gets it, not even while none of them listens. What holds it never listens itself,
    so the kernel gives it no connection.

    Args:
        host: The address or name, an IPv6 address in brackets.
        port: The port; 0 is any free one.

    Raises:
        OSError: Somebody else has the port, or the address is not one of this machine.
    """
    with ExitStack() as held:
        number = port
        try:
            for family, address in _addresses(host, port):
                _refuse_taken(family, (address, number))
                holder = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
                # No SO_REUSEADDR: with it, whoever sets it too could take the port.
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                holder.bind((address, number))
                number = holder.getsockname()[1]
        except OSError as error:
            raise OSError(
                f"cannot listen on {host}:{port}: it is taken, or not of this machine: "
                "choose another with --port or PATRON_PORT"
            ) from error
        yield number


def _addresses(host: str, port: int) -> list[tuple[int, str]]:
    """Return the families and addresses that a name stands for."""
    found = socket.getaddrinfo(
        host.removeprefix("[").removesuffix("]"),
        port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )
    return [(int(family), str(address[0])) for family, _, _, _, address in found]


def _refuse_taken(family: int, address: tuple[str, int]) -> None:
    """Raise OSError when somebody has the port, be it by SO_REUSEPORT, which would let us join."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Connections of a server before, which linger for a minute, are nobody's.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
