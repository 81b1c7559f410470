"""Merchants are kept apart on every method."""

from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message

from patron.bill.v1.bill_service_pb2 import GetBillRequest
from patron.customer.v1.customer_service_pb2 import GetCustomerRequest
from patron.options.v1.options_pb2 import policy
from tests.support.chain_server import Refusal, refusal
from tests.support.drafts import VALID
from tests.support.service import Client, Service
from tests.support.tables import TENANT_TABLES, content_of
from tests.support.tenants import CASES, Shop, open_shop
from tests.support.wire import METHODS, wire

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_finds_nothing_of_another(
    service: Service, client: Client, method: MethodDescriptor
) -> None:
    """Another merchant's token finds nothing of a shop and changes nothing of it."""
    case = CASES[method.full_name]
    async with service.client() as owner, service.database() as database:
        shop = await open_shop(owner)
        before = await content_of(database, owner.merchant_id)
        await case(shop, client)
        after = await content_of(database, owner.merchant_id)

    assert after == before
    assert {table for table, (rows, _) in before.items() if rows} == set(TENANT_TABLES)


STORED = [method for method in METHODS if method.name != "GetFeatures"]
"""The methods that are about what is stored; GetFeatures answers without a look at the merchant."""
READS = [
    method
    for method in STORED
    if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
]


@pytest.mark.parametrize("method", READS, ids=lambda method: method.name)
async def test_the_very_bytes_of_another(service: Service, method: MethodDescriptor) -> None:
    """Whoever repeats another's request gets what anybody new gets, from a cache as without one."""
    async with service.client() as owner:
        shop = await open_shop(owner)
        request = _question(method, shop).SerializeToString()
        before, _ = await _answers(service, await service.create_merchant(), method, request)
        theirs, cached = await _answers(service, owner.merchant_id, method, request)
        after, cached_too = await _answers(
            service, await service.create_merchant(), method, request
        )
        again, _ = await _answers(service, owner.merchant_id, method, request)

    assert len({*before, *after}) == 1
    assert {*theirs} == {*again}
    assert {*theirs}.isdisjoint(after)
    if method.GetOptions().Extensions[policy].HasField("cache_ttl"):
        assert cached[-1] == "hit"
        assert (cached_too[0], cached_too[-1]) == ("miss", "hit")


def _question(method: MethodDescriptor, shop: Shop) -> Message:
    """Return a request whose answer is about the shop's own."""
    by_id = {
        "GetCustomer": GetCustomerRequest(customer_id=shop.customer.customer.id),
        "GetBill": GetBillRequest(bill_id=shop.bill.bill.id),
    }
    return by_id.get(method.name) or VALID[method.name]()


async def _answers(
    service: Service, merchant_id: UUID, method: MethodDescriptor, request: bytes
) -> tuple[list[str], list[str]]:
    """Return what a merchant is told three times, and where it came from."""
    told, cached = [], []
    async with wire(service, service.token(merchant_id)) as line:
        for _ in range(3):
            try:
                answer, trailers = await line.ask(method, request)
            except grpc.aio.AioRpcError as error:
                told.append(Refusal(error).reason)
            else:
                # When it was computed differs, and at which revision.
                if "basis" in answer.DESCRIPTOR.fields_by_name:
                    answer.ClearField("basis")
                told.append(str(answer))
                cached.append(trailers.get("patron-cache", ""))
    return told, cached


@pytest.mark.parametrize("method", STORED, ids=lambda method: method.name)
async def test_unknown_merchant(service: Service, method: MethodDescriptor) -> None:
    """A valid token for a merchant that is not here is PERMISSION_DENIED and leaves no row."""
    merchant_id = uuid4()
    async with wire(service, service.token(merchant_id)) as stranger:
        refused = await refusal(stranger.send(method, VALID[method.name]()))
    async with service.database() as database:
        left = await content_of(database, merchant_id)

    assert refused.code == grpc.StatusCode.PERMISSION_DENIED
    assert refused.reason == "MERCHANT_UNKNOWN"
    assert not any(rows for rows, _ in left.values())
