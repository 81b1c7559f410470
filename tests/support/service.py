"""The whole service in this process, on databases of its own, and clients of it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import UUID, uuid4

import asyncpg
import grpc.aio

from patron.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from patron.bill.v1.bill_service_pb2_grpc import BillServiceStub
from patron.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from patron.feature.v1.feature_service_pb2_grpc import FeatureServiceStub
from server.auth.development import DevelopmentKey
from server.auth.tokens import TokenSigner
from server.embedded import DatabaseUrls, EmbeddedPostgres
from server.main import running
from server.settings import Settings
from server.storage.merchants import Merchants
from server.storage.migrate import migrate

SCOPES = frozenset(
    {
        "customers.read",
        "customers.write",
        "bills.read",
        "bills.write",
        "analytics.read",
        "features.read",
        "features.write",
    }
)

_GENEROUS = {
    "rate_limit_read": 100_000,
    "rate_limit_write": 100_000,
    "rate_limit_analytics": 100_000,
    "rate_limit_bulk": 100_000,
    "max_in_flight": 10_000,
    "max_streams": 1_000,
}


class _WithToken:
    """Sends a token with every call."""

    def __init__(self, token: str) -> None:
        self._metadata = ("authorization", f"Bearer {token}")

    def authorized(self, details: Any) -> Any:
        metadata = grpc.aio.Metadata(*(details.metadata or ()), self._metadata)
        return details._replace(metadata=metadata)


# A channel takes an interceptor of two kinds for one of the first kind alone.
class _WithTokenUnary(_WithToken, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return await continuation(self.authorized(client_call_details), request)


class _WithTokenStream(_WithToken, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await continuation(self.authorized(client_call_details), request_iterator)


@dataclass(frozen=True)
class Client:
    """A merchant's app: stubs that send its token."""

    merchant_id: UUID
    customers: Any
    bills: Any
    analytics: Any
    features: Any


class Service:
    """A running server and the database behind it."""

    def __init__(
        self, target: str, urls: DatabaseUrls, signer: TokenSigner, *, admin: str = ""
    ) -> None:
        self.target = target
        self.urls = urls
        self._admin = admin
        self._signer = signer

    async def ask_admin(self, path: str) -> str:
        """Return what the admin port answers."""

        def ask() -> str:
            with urlopen(f"http://{self._admin}{path}", timeout=5) as answer:
                return str(answer.read(), "utf-8")

        return await asyncio.to_thread(ask)

    async def create_merchant(
        self, *, currency: str = "USD", time_zone: str = "America/New_York", region: str = "US"
    ) -> UUID:
        """Create a merchant that no other test knows."""
        merchant_id = uuid4()
        async with Merchants.connect(self.urls.maintenance) as merchants:
            await merchants.create(merchant_id, "A shop", currency, time_zone, region)
        return merchant_id

    def token(
        self,
        merchant_id: UUID,
        scopes: Collection[str] = SCOPES,
        lifetime: float = 600,
        subject: str = "a-test",
    ) -> str:
        """Sign a token for a merchant, known or not."""
        return self._signer.sign(
            merchant_id=merchant_id, subject=subject, scopes=scopes, lifetime=lifetime
        )

    def elsewhere(self, target: str) -> "Service":
        """Return another server on the same database that takes the same tokens."""
        return Service(target, self.urls, self._signer)

    @asynccontextmanager
    async def client(
        self,
        merchant_id: UUID | None = None,
        options: Sequence[tuple[str, Any]] = (),
        subject: str = "a-test",
    ) -> AsyncIterator[Client]:
        """Lend a client of a merchant, by a channel with these options; None: of a new one."""
        merchant_id = merchant_id or await self.create_merchant()
        token = self.token(merchant_id, subject=subject)
        with_token: list[grpc.aio.ClientInterceptor] = [
            _WithTokenUnary(token),
            _WithTokenStream(token),
        ]
        async with grpc.aio.insecure_channel(
            self.target, interceptors=with_token, options=options
        ) as channel:
            yield Client(
                merchant_id,
                CustomerServiceStub(channel),
                BillServiceStub(channel),
                AnalyticsServiceStub(channel),
                FeatureServiceStub(channel),
            )

    @asynccontextmanager
    async def database(
        self, url: str | None = None
    ) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """Lend a connection, as the maintenance role unless told otherwise."""
        connection = await asyncpg.connect(url or self.urls.maintenance)
        try:
            yield connection
        finally:
            await connection.close()


async def commit_without_the_disk(urls: DatabaseUrls) -> None:
    """Have commits not wait for the disk: what a test writes need not survive the machine."""
    connection = await asyncpg.connect(urls.owner.replace("patron_owner", "postgres"))
    try:
        await connection.execute("ALTER DATABASE patron SET synchronous_commit = off")
    finally:
        await connection.close()


@asynccontextmanager
async def running_service(data_dir: Path, **options: object) -> AsyncIterator[Service]:
    """Run a server on a data directory, with these settings beside; else as `served` does."""
    with EmbeddedPostgres(data_dir) as urls:
        await commit_without_the_disk(urls)
        await migrate(urls.owner)
        async with served(data_dir, urls, **options) as service:
            yield service


@asynccontextmanager
async def served(data_dir: Path, urls: DatabaseUrls, **options: object) -> AsyncIterator[Service]:
    """Run a server on a database that is ready: the data directory's, or that of `database_url`.

    Unless the settings say so, no test meets a limit.
    """
    settings = Settings.load(
        {}, **{"data_dir": data_dir, "port": 0, "admin_port": 0, **_GENEROUS, **options}
    )
    async with running(settings) as server:
        signer = DevelopmentKey.open(data_dir).signer(
            issuer=settings.auth_issuer, audience=settings.auth_audience
        )
        yield Service(server.target, urls, signer, admin=server.admin)
