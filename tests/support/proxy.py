"""A proxy on a Unix socket that cuts, stalls, delays and releases what passes through it."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_CHUNK = 65536


class Gate:
    """One direction of a proxy, for all of its connections."""

    def __init__(self) -> None:
        self.delay = 0.0
        """How many seconds every chunk is kept."""
        self.held = asyncio.Event()
        """Set as soon as something is held back."""
        self._marker: bytes | None = None
        self._passing = 0
        self._released = asyncio.Event()

    def hold(self, marker: bytes = b"", *, passing: int = 0) -> None:
        """Hold a connection's bytes back from the next chunk on that contains the marker.

        Args:
            marker: What the chunk contains.
            passing: How many bytes of that chunk pass all the same.
        """
        self.held.clear()
        self._released.clear()
        self._marker, self._passing = marker, passing

    def release(self) -> None:
        """Let everything pass that was held back, and all that follows."""
        self._marker = None
        self._released.set()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes from one side to the other until one of them is closed."""
        while chunk := await reader.read(_CHUNK):
            passed = 0
            if self._marker is not None and self._marker in chunk:
                passed = self._passing
                writer.write(chunk[:passed])
                self.held.set()
                await self._released.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            writer.write(chunk[passed:])
            await writer.drain()


class Proxy:
    """Listens on a Unix socket of its own and passes bytes to another one, and back."""

    def __init__(self, path: Path, upstream: str) -> None:
        self.url = f"unix://{path}"
        self.requests = Gate()
        self.replies = Gate()
        self.folder = path.parent
        """Where its socket is."""
        self._path = path
        self._upstream = upstream.removeprefix("unix://")
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_unix_server(self._accept, self._path)

    async def cut(self) -> None:
        """Break all connections and refuse new ones, until it is opened again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._path.unlink(missing_ok=True)
        await self.break_connections()

    async def break_connections(self) -> None:
        """Break all connections; whoever connects again is served."""
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            with suppress(OSError):
                there, back = await asyncio.open_unix_connection(self._upstream)
                writers.append(back)
                ways = [
                    asyncio.create_task(self.requests.pass_on(reader, back)),
                    asyncio.create_task(self.replies.pass_on(there, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for each in writers:
                each.transport.abort()


@asynccontextmanager
async def proxied(upstream: str, name: str = "socket") -> AsyncIterator[Proxy]:
    """Lend a proxy, whose socket has this name, in front of the Unix socket of a URL."""
    # The kernel takes short paths only.
    folder = Path(tempfile.mkdtemp(prefix="patron-proxy-"))
    proxy = Proxy(folder / name, upstream)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.cut()
        shutil.rmtree(folder)
