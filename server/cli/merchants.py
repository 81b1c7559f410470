"""Merchants, as the commands create and change them."""

import asyncio
from typing import Final
from uuid import UUID

from domain.model.merchant import Merchant
from server.cli.announcing import announcing

DEMO_MERCHANT_ID: Final = UUID("cd000000-0000-4000-8000-000000001997")
"""The merchant of the demo, on every machine."""


def create(
    maintenance_url: str,
    merchant_id: UUID,
    *,
    name: str,
    currency: str,
    time_zone: str,
    region: str,
) -> Merchant:
    """Create a merchant, or return the one that is there with the same settings.

    Raises:
        StorageError: There is a merchant of this id with other settings.
    """
    from server.storage.merchants import Merchants

    async def work() -> Merchant:
        async with Merchants.connect(maintenance_url) as merchants:
            return await merchants.create(merchant_id, name, currency, time_zone, region)

    return asyncio.run(work())


def change(
    maintenance_url: str, redis_url: str | None, merchant_id: UUID, changes: dict[str, str]
) -> Merchant:
    """Set some settings of a merchant, tell running servers, and return the merchant.

    Raises:
        StorageError: There is no such merchant, or it has bills and its currency was to change.
    """
    from server.storage.merchants import Merchants

    async def work() -> Merchant:
        async with Merchants.connect(maintenance_url) as merchants:
            changed = await merchants.set(merchant_id, **changes)
        async with announcing(redis_url) as announce:
            await announce(merchant_id, changed.revision)
        return changed

    return asyncio.run(work())


def ensure_demo_merchant(maintenance_url: str) -> None:
    """Create the merchant of the demo unless it is there, whatever has been set of it since."""
    from server.storage.merchants import Merchants

    async def work() -> None:
        async with Merchants.connect(maintenance_url) as merchants:
            if await merchants.find(DEMO_MERCHANT_ID) is None:
                await merchants.create(DEMO_MERCHANT_ID, "CDNOW", "USD", "America/New_York", "US")

    asyncio.run(work())
