"""Replacing the rollups by a recomputation, merchant by merchant."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import delete, insert, select, update

from domain.model.merchant import Revision
from server.storage.errors import StorageError
from server.storage.merchants import Merchants
from server.storage.recomputation import ROLLUPS, Rollup
from server.storage.schema import customer_stats, database_epoch, merchant, rebuild_queue
from server.storage.statements import OWN_MERCHANT, Statement, of_merchant


@dataclass(frozen=True, slots=True)
class RebuildProgress:
    """How far a rebuild is."""

    done: int
    """How many merchants are done."""
    total: int
    """How many there are to do."""
    merchant_id: UUID
    """The one that was done last."""
    revision: Revision
    """The revision that its rebuild made."""


def _replacing(rollup: Rollup) -> tuple[Statement, Statement]:
    rows = rollup.rows.subquery()
    replacement = select(merchant.c.merchant_id, *rows.c).where(OWN_MERCHANT)
    if rollup.table is customer_stats:
        replacement = replacement.add_columns(merchant.c.revision)
    return (
        Statement(delete(rollup.table).where(of_merchant(rollup.table))),
        Statement(
            insert(rollup.table).from_select(
                [name for name, _ in replacement.selected_columns.items()], replacement
            )
        ),
    )


# The merchant's row comes first, as in every write: no bill comes in between.
_BUMP: Final = Statement(
    update(merchant)
    .where(OWN_MERCHANT)
    .values(revision=merchant.c.revision + 1)
    .returning(merchant.c.revision, select(database_epoch.c.epoch).scalar_subquery().label("epoch"))
)
_REPLACE: Final = [statement for rollup in ROLLUPS for statement in _replacing(rollup)]
_DONE: Final = Statement(delete(rebuild_queue).where(of_merchant(rebuild_queue)))

_ENQUEUE: Final = """
INSERT INTO rebuild_queue (merchant_id)
SELECT merchant_id FROM merchant WHERE NOT EXISTS (SELECT FROM rebuild_queue)
ON CONFLICT DO NOTHING
"""
_QUEUE: Final = "SELECT merchant_id FROM rebuild_queue ORDER BY merchant_id"


async def rebuild(
    maintenance_url: str, merchant_id: UUID | None = None
) -> AsyncIterator[RebuildProgress]:
    """Replace the rollups of a merchant, or of all, each in a transaction of its own.

    Writes of a merchant wait while it is its turn. A rebuild of all that was interrupted goes on
    with the merchants that were not done.

    Args:
        maintenance_url: The database, as the maintenance role.
        merchant_id: The merchant; None: all.

    Yields:
        The progress, after each merchant.

    Raises:
        StorageError: There is no such merchant.
    """
    connection = await asyncpg.connect(maintenance_url)
    try:
        if merchant_id is None:
            await connection.execute(_ENQUEUE)
            to_do = [row["merchant_id"] for row in await connection.fetch(_QUEUE)]
        elif await Merchants(connection).find(merchant_id):
            to_do = [merchant_id]
        else:
            raise StorageError(f"there is no merchant {merchant_id}")
        for done, each in enumerate(to_do, start=1):
            yield RebuildProgress(done, len(to_do), each, await _rebuild(connection, each))
    finally:
        await connection.close()


async def _rebuild(connection: "asyncpg.Connection[asyncpg.Record]", merchant_id: UUID) -> Revision:
    arguments = {"merchant_id": merchant_id}
    async with connection.transaction():
        (reached,) = await connection.fetch(_BUMP.sql, *_BUMP.arguments(arguments))
        for statement in (*_REPLACE, _DONE):
            await connection.execute(statement.sql, *statement.arguments(arguments))
    return Revision(reached["epoch"], reached["revision"])
