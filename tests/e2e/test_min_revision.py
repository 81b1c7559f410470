"""Reads that are never cached are not answered from anything older than the client has seen."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import grpc
import pytest

from patron.bill.v1.bill_service_pb2 import GetBillRequest, ListBillsRequest
from patron.customer.v1.customer_service_pb2 import GetCustomerRequest, ListCustomersRequest
from tests.support.bills import bill_of, creation
from tests.support.chain_server import refusal
from tests.support.drafts import create_customer
from tests.support.service import Client, Service

Read = Callable[[Client, str, str], tuple[Any, Any]]
"""Returns a method and its request, for the ids of a customer and of a bill."""

READS: dict[str, Read] = {
    "GetCustomer": lambda client, customer, _: (
        client.customers.GetCustomer,
        GetCustomerRequest(customer_id=customer),
    ),
    "GetBill": lambda client, _, bill: (client.bills.GetBill, GetBillRequest(bill_id=bill)),
    "ListCustomers": lambda client, *_: (client.customers.ListCustomers, ListCustomersRequest()),
    "ListBills": lambda client, *_: (client.bills.ListBills, ListBillsRequest()),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_takes_the_least_revision(service: Service, read: Read) -> None:
    """A revision that is reached changes nothing; any other one is refused."""
    async with service.client() as client:
        customer = (await client.customers.CreateCustomer(create_customer())).customer
        written = await client.bills.CreateBill(
            creation(bill_of(1000, paid_minor=1000, id=str(uuid4())))
        )
        method, request = read(client, customer.id, written.bill.id)
        epoch, _, number = written.revision.rpartition(".")

        seen = (("patron-min-revision", written.revision),)
        assert await method(request, metadata=seen) == await method(request)
        for unreached in (f"{epoch}.{int(number) + 1}", f"{uuid4().hex[:8]}.1", "nonsense"):
            refused = await refusal(method(request, metadata=(("patron-min-revision", unreached),)))
            assert refused.code == grpc.StatusCode.FAILED_PRECONDITION
            assert refused.reason == "REVISION_UNKNOWN"
