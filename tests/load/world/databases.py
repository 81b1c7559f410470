"""PostgreSQL and Valkey, as the server embeds them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from server.embedded import DatabaseUrls, EmbeddedPostgres, EmbeddedValkey, processes
from server.storage.migrate import migrate


@dataclass(frozen=True, slots=True)
class Databases:
    """Databases that run, and the directory of their data and of the development key."""

    data_dir: Path
    urls: DatabaseUrls
    redis_url: str

    @property
    def superuser_url(self) -> str:
        """The database as the role that may do anything."""
        return self.urls.owner.replace("patron_owner", "postgres")

    @property
    def log(self) -> Path:
        """The log of PostgreSQL."""
        return self.data_dir / "postgres" / "server.log"

    def processes(self) -> list[psutil.Process]:
        """Return the processes of both databases."""
        return [
            *processes.working_in(self.data_dir / "postgres", "postgres"),
            *processes.working_in(self.data_dir / "valkey", "valkey-server"),
        ]


@contextmanager
def running_databases(data_dir: Path) -> Iterator[Databases]:
    """Run both, with the newest schema, for as long as the body does.

    They run where this process does; servers are told where they are, so that several can use them.
    """
    directory = data_dir.resolve()
    with EmbeddedPostgres(directory) as urls, EmbeddedValkey(directory) as redis_url:
        asyncio.run(migrate(urls.owner))
        yield Databases(directory, urls, redis_url)
