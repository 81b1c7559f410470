"""The merchants that the scenarios call for, made through the API."""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from patron.bill.v1.bill_pb2 import BillDraft
from patron.bill.v1.bill_service_pb2 import ImportBillsRequest
from patron.bill.v1.bill_service_pb2_grpc import BillServiceStub
from patron.customer.v1.customer_pb2 import CustomerDraft
from patron.customer.v1.customer_service_pb2 import CreateCustomerRequest
from patron.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from server.storage.merchants import Merchants
from tests.load.world import calls
from tests.load.world.databases import Databases, running_databases
from tests.load.world.patron import serving
from tests.load.world.placement import Placement
from tests.load.world.tokens import Tokens

_VISITS = 10
_DAYS_BETWEEN = 3
_AT_ONCE = 20
_UNLIMITED = {f"PATRON_RATE_LIMIT_{kind}": "0" for kind in ("WRITE", "BULK")}


@dataclass(frozen=True, slots=True)
class World:
    """Databases with the merchants in them, and the merchants' tokens."""

    databases: Databases
    tokens: Tokens


@contextmanager
def open_world(folder: Path, placement: Placement, merchants: Sequence[int]) -> Iterator[World]:
    """Make merchants anew in a folder and lend them: no run meets what another has written.

    Raises:
        NotMeasured: The server that makes them isn't ready in time.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with running_databases(folder) as databases:
        world = World(databases, Tokens(databases.data_dir))
        with serving("world", databases, placement, _UNLIMITED) as patron:
            fill(world, patron.target, merchants)
        yield world


def fill(world: World, target: str, merchants: Sequence[int]) -> None:
    """Make merchants with their customers and bills, by the server at `target`."""
    asyncio.run(_fill(world, target, merchants))


async def _fill(world: World, target: str, merchants: Sequence[int]) -> None:
    async with Merchants.connect(world.databases.urls.maintenance) as provisioning:
        for merchant in merchants:
            name = f"Merchant {merchant}"
            await provisioning.create(
                calls.merchant_id(merchant), name, calls.CURRENCY, "UTC", "US"
            )
    async with grpc.aio.insecure_channel(target) as channel:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def fill(merchant: int) -> None:
            async with turns:
                await _fill_merchant(channel, merchant, world.tokens.metadata(merchant))

        await asyncio.gather(*map(fill, merchants))


async def _fill_merchant(
    channel: grpc.aio.Channel, merchant: int, metadata: Sequence[tuple[str, str]]
) -> None:
    """Create the customers of a merchant and their bills of the last weeks, one of today."""
    customers, bills = CustomerServiceStub(channel), BillServiceStub(channel)
    for customer in calls.CUSTOMERS:
        draft = CustomerDraft(
            id=str(calls.customer_id(merchant, customer)),
            name=f"Customer {customer}",
            phone=f"+1201555{customer:04}",
        )
        request = CreateCustomerRequest(request_id=str(uuid4()), customer=draft)
        await customers.CreateCustomer(request, metadata=metadata)
    await bills.ImportBills(iter([ImportBillsRequest(bills=_history(merchant))]), metadata=metadata)


def _history(merchant: int) -> Iterator[BillDraft]:
    now = datetime.now(UTC)
    for visit in reversed(range(_VISITS)):
        when = Timestamp()
        when.FromDatetime(now - timedelta(days=visit * _DAYS_BETWEEN))
        for customer in calls.CUSTOMERS:
            yield calls.bill(merchant, customer, id=str(uuid4()), bill_time=when)
