"""Merchants are kept apart on every method."""

from uuid import uuid4

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from tests.support.chain_server import refusal
from tests.support.drafts import VALID
from tests.support.service import Client, Service
from tests.support.tables import TENANT_TABLES, content_of
from tests.support.tenants import CASES, open_shop
from tests.support.wire import METHODS, wire


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


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
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
