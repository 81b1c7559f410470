"""Bringing the schema to the newest revision."""

from functools import cache
from typing import Final

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import create_async_engine

_LOCK: Final = 0x706174726F6E
"""Any number that no other user of the database locks."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "server.storage:migrations")
    config.set_main_option("path_separator", "os")
    return config


@cache
def head() -> str | None:
    """Return the revision that this release needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


async def stored_revision(pool: "asyncpg.Pool[asyncpg.Record]") -> str | None:
    """Return the revision of a database; None when it has no schema."""
    try:
        revision: str | None = await pool.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    return revision


async def migrate(owner_url: str) -> None:
    """Bring the schema to the newest revision; a schema that is there is left alone.

    Args:
        owner_url: The database, with the role that owns the tables. The roles `patron_serving` and
            `patron_maintenance` must be there.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(owner_url)
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    # Of several that start at once, one migrates; the others wait and find it done.
    connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
