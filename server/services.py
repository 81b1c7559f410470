"""The services of a worker: use cases on the stores, and handlers on the use cases."""

import secrets
from datetime import UTC, datetime
from typing import Final

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from domain.ports import Features, Ratings, Writer
from domain.use_cases.analytics import Analytics
from domain.use_cases.bills import Bills
from domain.use_cases.customers import Customers
from domain.use_cases.features import GatedFeatures
from patron.analytics.v1 import analytics_service_pb2
from patron.analytics.v1.analytics_service_pb2_grpc import add_AnalyticsServiceServicer_to_server
from patron.bill.v1 import bill_service_pb2
from patron.bill.v1.bill_service_pb2_grpc import add_BillServiceServicer_to_server
from patron.customer.v1 import customer_service_pb2
from patron.customer.v1.customer_service_pb2_grpc import add_CustomerServiceServicer_to_server
from patron.feature.v1 import feature_service_pb2
from patron.feature.v1.feature_service_pb2_grpc import add_FeatureServiceServicer_to_server
from patron.options.v1.options_pb2 import policy
from server.grpc_health import ServingHealth
from server.handlers.analytics import AnalyticsHandler
from server.handlers.bills import BillHandler
from server.handlers.customers import CustomerHandler
from server.handlers.digests import Digests
from server.handlers.features import FeatureHandler
from server.handlers.page_tokens import PageTokens
from server.phones import parse_phone
from server.private_files import read_or_create
from server.settings import Settings
from server.storage.bills import PostgresBills
from server.storage.customers import PostgresCustomers
from server.storage.database import Database
from server.storage.rollups import PostgresRollups

SERVICES: Final = (
    *customer_service_pb2.DESCRIPTOR.services_by_name.values(),
    *bill_service_pb2.DESCRIPTOR.services_by_name.values(),
    *analytics_service_pb2.DESCRIPTOR.services_by_name.values(),
    *feature_service_pb2.DESCRIPTOR.services_by_name.values(),
)
"""The services of the contract that are served."""

FEATURES: Final = frozenset(
    name
    for service in SERVICES
    for method in service.methods
    if (name := method.GetOptions().Extensions[policy].feature)
)
"""The features that gate methods."""


def now() -> datetime:
    """Return the present instant; the clock of the domain."""
    return datetime.now(UTC)


def add_services(  # noqa: PLR0917 - each is a part of its own
    server: grpc.aio.Server,
    settings: Settings,
    database: Database,
    writer: Writer,
    features: Features,
    ratings: Ratings,
) -> None:
    """Register the services of the contract with a server."""
    secret = _secret(settings)
    digests, pages = Digests(secret), PageTokens(secret)
    customers = Customers(writer, PostgresCustomers(database), parse_phone, now)
    bills = Bills(writer, PostgresBills(database), parse_phone, now)
    analytics = Analytics(PostgresRollups(database), now)
    gated = GatedFeatures(FEATURES, features, writer, ratings, now)
    add_CustomerServiceServicer_to_server(CustomerHandler(customers, digests, pages), server)
    add_BillServiceServicer_to_server(BillHandler(bills, digests, pages), server)
    add_AnalyticsServiceServicer_to_server(AnalyticsHandler(analytics, pages), server)
    add_FeatureServiceServicer_to_server(
        FeatureHandler(gated, digests, refresh_seconds=settings.flags_refresh_seconds), server
    )


def add_standard_services(
    server: grpc.aio.Server, health: ServingHealth, *, with_reflection: bool
) -> None:
    """Register gRPC's own services with a server."""
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if with_reflection:
        names = [service.full_name for service in SERVICES]
        names.append(health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        mirror = reflection.aio.ReflectionServicer([*names, reflection.SERVICE_NAME])
        add_ServerReflectionServicer_to_server(mirror, server)  # type: ignore[no-untyped-call]


def _secret(settings: Settings) -> bytes:
    if settings.secret is not None:
        return settings.secret.encode()
    return read_or_create(settings.data_dir / "secret", lambda: secrets.token_bytes(32))
