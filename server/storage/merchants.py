"""Provisioning merchants, as the maintenance role."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self
from uuid import UUID

import asyncpg
from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects.postgresql import insert

from domain.model.merchant import Merchant
from server.storage.errors import StorageError
from server.storage.records import MERCHANT, to_merchant
from server.storage.schema import bill, merchant
from server.storage.statements import MERCHANT_ID, OWN_MERCHANT, Statement, of_merchant, parameter

_SETTINGS: Final = ("name", "currency", "time_zone", "region")

_FIND: Final = Statement(select(*MERCHANT).where(OWN_MERCHANT))
_LOCK: Final = Statement(select(*MERCHANT).where(OWN_MERCHANT).with_for_update(of=merchant))
_INSERT: Final = Statement(
    insert(merchant)
    .values(
        merchant_id=MERCHANT_ID,
        revision=0,
        next_bill_number=1,
        oldest_feed_revision=0,
        created_at=func.now(),
        **{name: parameter(merchant.c[name]) for name in _SETTINGS},
    )
    .on_conflict_do_nothing()
)
_UPDATE: Final = Statement(
    update(merchant)
    .where(OWN_MERCHANT)
    .values(
        revision=merchant.c.revision + 1,
        **{name: parameter(merchant.c[name]) for name in _SETTINGS},
    )
)
_HAS_BILLS: Final = Statement(select(exists().where(of_merchant(bill)).label("has_bills")))


class Merchants:
    """The merchants of a database."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def connect(cls, maintenance_url: str) -> AsyncIterator[Self]:
        """Connect as the maintenance role, and close at the end."""
        connection = await asyncpg.connect(maintenance_url)
        try:
            yield cls(connection)
        finally:
            await connection.close()

    async def find(self, merchant_id: UUID) -> Merchant | None:
        """Return a merchant; None when there is none of this id."""
        rows = await self._fetch(_FIND, merchant_id)
        return to_merchant(rows[0]) if rows else None

    async def create(
        self, merchant_id: UUID, name: str, currency: str, time_zone: str, region: str
    ) -> Merchant:
        """Create a merchant, or return the one that is there with the same settings.

        Raises:
            StorageError: There is a merchant of this id with other settings.
        """
        settings = dict(zip(_SETTINGS, (name, currency, time_zone, region), strict=True))
        await self._fetch(_INSERT, merchant_id, **settings)
        (row,) = await self._fetch(_FIND, merchant_id)
        created = to_merchant(row)
        if _settings_of(created) != settings:
            raise StorageError(f"there is a merchant {merchant_id} with other settings")
        return created

    async def set(self, merchant_id: UUID, **changes: str) -> Merchant:
        """Set some settings of a merchant, named like the columns, and return it.

        Raises:
            StorageError: There is no such merchant, or it has bills and its currency was to change.
        """
        async with self._connection.transaction():
            rows = await self._fetch(_LOCK, merchant_id)
            if not rows:
                raise StorageError(f"there is no merchant {merchant_id}")
            before = _settings_of(to_merchant(rows[0]))
            after = before | changes
            if after["currency"] != before["currency"]:
                (found,) = await self._fetch(_HAS_BILLS, merchant_id)
                if found["has_bills"]:
                    raise StorageError("the currency of a merchant with bills cannot change")
            if after != before:
                await self._fetch(_UPDATE, merchant_id, **after)
            (row,) = await self._fetch(_FIND, merchant_id)
        return to_merchant(row)

    async def _fetch(
        self, statement: Statement, merchant_id: UUID, **values: str
    ) -> list[asyncpg.Record]:
        arguments = statement.arguments({"merchant_id": merchant_id, **values})
        return await self._connection.fetch(statement.sql, *arguments)


def _settings_of(found: Merchant) -> dict[str, str]:
    return {name: getattr(found, name) for name in _SETTINGS}
