"""A report, and what is said about where it comes from."""

from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest
from patron.bill.v1.bill_service_pb2 import CreateBillRequest
from tests.support.bills import bill_of, creation, trailers
from tests.support.drafts import period
from tests.support.service import Client
from tests.support.tenants import NOON
from tests.support.waiting import until

MARCH: Final = GetSummaryRequest(period=period())
"""Asks for the month in which `sale` sells."""


@dataclass(frozen=True)
class Report:
    """What a summary says, and its trailers."""

    bills: int
    sales_minor: int
    cache: str
    """hit or miss."""
    revision: str

    @property
    def number(self) -> int:
        """The number of the revision, which no client may know."""
        return int(self.revision.rpartition(".")[2])


async def report(client: Client, asked: GetSummaryRequest = MARCH, *, seen: str = "") -> Report:
    """Ask for a summary, which must not be older than what was seen."""
    metadata = (("patron-min-revision", seen),) if seen else ()
    call = client.analytics.GetSummary(asked, metadata=metadata)
    answer = await call
    told = await trailers(call)
    assert told["patron-revision"] == answer.basis.revision
    return Report(
        answer.current.bills,
        answer.current.sales_minor,
        told["patron-cache"],
        told["patron-revision"],
    )


def sale(total_minor: int = 100) -> CreateBillRequest:
    """Return the request to create a bill of a walk-in in March."""
    draft = bill_of(total_minor, paid_minor=total_minor, id=str(uuid4()), bill_time=NOON)
    return creation(draft)


async def sell(client: Client, total_minor: int = 100) -> str:
    """Sell something in March and return the revision that the sale made."""
    answer = await client.bills.CreateBill(sale(total_minor))
    revision: str = answer.revision
    return revision


async def warm(client: Client) -> int:
    """Have the report kept; return how many bills it says."""

    async def is_kept() -> bool:
        return (await report(client)).cache == "hit"

    await until(is_kept)
    return (await report(client)).bills
