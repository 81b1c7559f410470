"""The tables of the merchants' data."""

from typing import Final
from uuid import UUID

import asyncpg

from server.storage.schema import metadata

OPERATORS_OWN: Final = {"rebuild_queue"}
"""Tables with a column `merchant_id` that no call reads or writes."""
TENANT_TABLES: Final = sorted(
    table.name
    for table in metadata.tables.values()
    if "merchant_id" in table.c and table.name not in OPERATORS_OWN
)
"""The tables whose every row is a merchant's."""

_CONTENT: Final = " UNION ALL ".join(
    f"SELECT '{table}', count(*), md5(string_agg(row::text, ' ' ORDER BY row::text))"
    f" FROM {table} AS row WHERE merchant_id = $1"
    for table in TENANT_TABLES
)

Content = dict[str, tuple[int, str | None]]


async def content_of(
    connection: "asyncpg.Connection[asyncpg.Record]", merchant_id: UUID
) -> Content:
    """Return how many rows of each table a merchant has, and a hash of them.

    Args:
        connection: A connection of the maintenance role.
        merchant_id: The merchant.
    """
    return {
        name: (count, digest)
        for name, count, digest in await connection.fetch(_CONTENT, merchant_id)
    }
