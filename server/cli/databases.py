"""The database that a command works on: the configured one, or the embedded one."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from server.cli.errors import Failure
from server.settings import Settings, SettingsError


@contextmanager
def owner_database(settings: Settings) -> Iterator[str]:
    """Lend the URL of the database as the role that owns its tables.

    Unless one is configured, that is the embedded database, which runs meanwhile; a server on the
    same data directory may use it at the same time.

    Raises:
        SettingsError: The database is configured for other roles only.
        EmbeddedError: The embedded database cannot run.
    """
    if settings.database_owner_url:
        yield settings.database_owner_url
    elif not settings.embeds_database:
        raise SettingsError(
            "PATRON_DATABASE_OWNER_URL", "is required: the database is not embedded"
        )
    else:
        from server.embedded import EmbeddedPostgres

        with EmbeddedPostgres(settings.data_dir) as urls:
            yield urls.owner


@contextmanager
def maintenance_database(settings: Settings, *, create: bool = True) -> Iterator[str]:
    """Lend the URL of the database as the maintenance role, as `owner_database` does.

    An embedded database is brought to the newest schema first, and created unless `create` is off:
    then there being none is a Failure.
    """
    if settings.database_maintenance_url:
        yield settings.database_maintenance_url
    elif not settings.embeds_database:
        raise SettingsError(
            "PATRON_DATABASE_MAINTENANCE_URL", "is required: the database is not embedded"
        )
    else:
        from server.embedded import EmbeddedPostgres
        from server.storage.migrate import migrate

        if not create and not EmbeddedPostgres.has_data(settings.data_dir):
            raise Failure(f"there is no database in {settings.data_dir.resolve()}")
        with EmbeddedPostgres(settings.data_dir) as urls:
            asyncio.run(migrate(urls.owner))
            yield urls.maintenance
