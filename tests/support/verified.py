"""What `patron db verify` says of one merchant, among the many of a test run."""

import itertools
from typing import Any
from uuid import UUID

from server.storage.verify import Difference, verify

_counted = itertools.count()


def low_merchant_id() -> UUID:
    """Return an id that is lower than any before, so that its merchant is verified first."""
    return UUID(int=2**64 - next(_counted))


async def differences_of(maintenance_url: str, merchant_id: UUID) -> list[Difference]:
    """Return what does not follow from a merchant's bills; those before it are verified too."""
    reports: Any = verify(maintenance_url)
    try:
        async for report in reports:
            if report.merchant_id == merchant_id:
                differences: list[Difference] = report.differences
                return differences
    finally:
        await reports.aclose()
    raise AssertionError("verify left the merchant out")
