"""Several servers on the same databases, in this process and as processes of their own."""

import asyncio
import re
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from server.embedded import DatabaseUrls, EmbeddedPostgres, EmbeddedValkey, processes
from server.storage.migrate import migrate
from tests.support.command_line import Running, eventually, started
from tests.support.proxy import Proxy, proxied
from tests.support.service import Service, commit_without_the_disk, served

_NO_LIMITS = {
    f"rate_limit_{kind}": 0  # What is tested here is not how much a merchant may ask for.
    for kind in ("read", "write", "analytics", "bulk")
}


@dataclass(frozen=True)
class Stores:
    """A running PostgreSQL and a running Valkey that servers share."""

    data_dir: Path
    urls: DatabaseUrls
    redis_url: str

    @asynccontextmanager
    async def proxied_database(self) -> AsyncIterator[tuple[Proxy, str]]:
        """Lend a proxy in front of PostgreSQL, and the URL of the serving role through it."""
        url = urllib.parse.urlsplit(self.urls.serving)
        query = dict(urllib.parse.parse_qsl(url.query))
        name = f".s.PGSQL.{query['port']}"
        async with proxied(f"{query['host']}/{name}", name) as proxy:
            through = urllib.parse.urlencode({**query, "host": str(proxy.folder)})
            # Not urlunsplit, which leaves out the // before an empty host.
            yield proxy, f"{self.urls.serving.partition('?')[0]}?{through}"

    @property
    def valkey(self) -> psutil.Process:
        """The process of Valkey."""
        [process] = processes.working_in(self.data_dir.resolve() / "valkey", "valkey-server")
        return process

    @contextmanager
    def valkey_stopped(self) -> Iterator[None]:
        """Have Valkey not run, though it is there, while the body runs."""
        process = self.valkey
        process.suspend()
        try:
            yield
        finally:
            process.resume()

    @asynccontextmanager
    async def valkey_killed(self) -> AsyncIterator[None]:
        """Kill Valkey; start it again when the body ends."""
        process = self.valkey
        process.kill()
        await asyncio.to_thread(psutil.wait_procs, [process], 5)
        try:
            yield
        finally:
            await asyncio.to_thread(self.start_valkey)

    def start_valkey(self) -> None:
        """Start Valkey where it was killed."""
        # Whoever finds a crashed server starts it again for all of its users.
        with EmbeddedValkey(self.data_dir):
            pass


@asynccontextmanager
async def running_stores(data_dir: Path) -> AsyncIterator[Stores]:
    """Run the databases of a data directory, with the tables, and no server yet."""
    with EmbeddedPostgres(data_dir) as urls, EmbeddedValkey(data_dir) as redis_url:
        await commit_without_the_disk(urls)
        await migrate(urls.owner)
        yield Stores(data_dir, urls, redis_url)


@asynccontextmanager
async def worker(
    stores: Stores, *, redis_url: str | None = None, **options: object
) -> AsyncIterator[Service]:
    """Run a server in this process, with these settings beside.

    Args:
        stores: Its databases.
        redis_url: Another way to Redis.
        options: Its other settings.
    """
    options = {
        "database_url": stores.urls.serving,
        "redis_url": redis_url or stores.redis_url,
        **_NO_LIMITS,
        **options,
    }
    async with served(stores.data_dir, stores.urls, **options) as service:
        yield service


@asynccontextmanager
async def worker_process(
    stores: Stores, signer: Service, *, redis_url: str | None = None, **options: object
) -> AsyncIterator[tuple[Service, Running]]:
    """Run a server as a process, which may be killed; else as `worker` does.

    Args:
        stores: Its databases.
        signer: A server in this process, whose tokens are taken.
        redis_url: Another way to Redis.
        options: Its other settings.
    """
    options = {
        "data_dir": stores.data_dir,
        "database_url": stores.urls.serving,
        "redis_url": redis_url or stores.redis_url,
        "port": 0,
        "admin_port": 0,
        **_NO_LIMITS,
        **options,
    }
    variables = {f"PATRON_{name.upper()}": str(value) for name, value in options.items()}
    # In threads, for this loop has to go on: a proxy of the process may run on it.
    starting = started("serve", variables=variables, covered=False)
    running = await asyncio.to_thread(starting.__enter__)

    def target() -> str:
        assert running.process.poll() is None, running.errors
        found = re.search(r"^Patron serves at ([\d.:]+);", running.output, re.MULTILINE)
        return found[1] if found else ""

    try:
        await asyncio.to_thread(eventually, lambda: bool(target()))
        yield signer.elsewhere(target()), running
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)
