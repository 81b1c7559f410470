"""A shop whose rows must not change, whatever is sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import grpc
from google.protobuf.message import Message

from tests.support.chain_server import Refusal, refusal
from tests.support.contract import documented_codes
from tests.support.service import Service
from tests.support.tables import content_of
from tests.support.tenants import Shop, open_shop
from tests.support.wire import Wire, method_named, wire

_CODES = documented_codes()


@dataclass(frozen=True)
class Bench:
    """A shop, a wire with its token, and a way to see that nothing changed."""

    service: Service
    shop: Shop
    wire: Wire
    database: "asyncpg.Connection[asyncpg.Record]"

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """Assert that no row of the shop changes while the body runs."""
        merchant_id = self.shop.client.merchant_id
        before = await content_of(self.database, merchant_id)
        yield
        assert await content_of(self.database, merchant_id) == before

    async def refuses(self, *requests: Message | bytes, method: str = "") -> Refusal:
        """Return how the call is refused: by a documented code, and without a change."""
        called = method_named(method or type(requests[0]).__name__.removesuffix("Request"))
        async with self.unchanged():
            refused = await refusal(self.wire.send(called, *requests))
        assert_documented(refused)
        return refused


def assert_documented(refused: Refusal) -> None:
    """Assert that the refusal is one that the contract tells of, and no failure of the server."""
    assert refused.code.name == _CODES.get(refused.reason), refused.raw
    assert refused.code not in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}, refused.raw


@asynccontextmanager
async def open_bench(service: Service) -> AsyncIterator[Bench]:
    """Lend a bench with a shop of its own."""
    async with (
        service.client() as client,
        wire(service, service.token(client.merchant_id)) as with_token,
        service.database() as database,
    ):
        yield Bench(service, await open_shop(client), with_token, database)
