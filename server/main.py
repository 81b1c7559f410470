"""The composition root: builds every part once, hands it on, and closes all in reverse."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version

import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as grpc_health
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from redis.asyncio import Redis

from domain.use_cases.analytics import Analytics
from domain.use_cases.bills import Bills
from domain.use_cases.customers import Customers
from patron.analytics.v1 import analytics_service_pb2
from patron.analytics.v1.analytics_service_pb2_grpc import add_AnalyticsServiceServicer_to_server
from patron.bill.v1 import bill_service_pb2
from patron.bill.v1.bill_service_pb2_grpc import add_BillServiceServicer_to_server
from patron.customer.v1 import customer_service_pb2
from patron.customer.v1.customer_service_pb2_grpc import add_CustomerServiceServicer_to_server
from server.admin import AdminServer
from server.auth.development import ALGORITHM, DevelopmentKey
from server.auth.tokens import KeySet, KeysUnusable, TokenVerifier
from server.embedded import DataDirectory, EmbeddedPostgres, EmbeddedValkey, RunningServer
from server.handlers.analytics import AnalyticsHandler
from server.handlers.bills import BillHandler
from server.handlers.customers import CustomerHandler
from server.handlers.digests import Digests
from server.handlers.page_tokens import PageTokens
from server.health import Health
from server.interceptors import Chain, Overload, default_interceptors
from server.limits import Budget, RedisLeases, RedisRateLimiter
from server.logs import configure_logging
from server.phones import parse_phone
from server.private_files import read_or_create
from server.sentry import capture, close_sentry, init_sentry
from server.settings import Settings, SettingsError
from server.storage.bills import PostgresBills
from server.storage.customers import PostgresCustomers
from server.storage.database import Database
from server.storage.migrate import migrate
from server.storage.rollups import PostgresRollups
from server.storage.writer import PostgresWriter

SERVICES = (
    *customer_service_pb2.DESCRIPTOR.services_by_name.values(),
    *bill_service_pb2.DESCRIPTOR.services_by_name.values(),
    *analytics_service_pb2.DESCRIPTOR.services_by_name.values(),
)
"""The services of the contract that this server serves."""

_log = structlog.get_logger()


async def serve(settings: Settings, *, ready: Callable[[RunningServer], None]) -> None:
    """Serve until SIGTERM or SIGINT, then let calls in flight end and stop everything.

    Args:
        settings: What to serve with.
        ready: Is told where the server is, once it answers.

    Raises:
        SettingsError: A key is missing in production, or a setting makes no sense.
        KeysUnusable: The development key is damaged.
        EmbeddedError: An embedded database cannot be started, or another server uses it.
        StorageError: The database is not one that can be served from.
        OSError: A port is taken, or a database cannot be reached.
    """
    configure_logging(settings.log_level.upper())
    stop = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, stop.set)
    async with running(settings) as server:
        ready(server)
        await stop.wait()
        _log.info("stopping")
    _log.info("stopped")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[RunningServer]:
    """Run a server with all its parts for as long as the body runs; raises as `serve` does."""
    settings.require_keys()
    verifier = _verifier(settings)
    async with AsyncExitStack() as stack:
        init_sentry(
            settings.sentry_dsn, environment=settings.environment, release=version("patron")
        )
        stack.push_async_callback(asyncio.to_thread, close_sentry)
        database_url, redis_url = await _databases(settings, stack)
        database = await stack.enter_async_context(
            Database.connect(
                database_url,
                pool_size=settings.database_pool_size,
                lock_timeout=settings.lock_timeout_seconds,
            )
        )
        redis = await stack.enter_async_context(Redis.from_url(redis_url))
        registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        health = Health(
            asyncio.get_running_loop(),
            needed={"database": database.ping},
            helpful={"redis": redis.ping},
        )
        admin = stack.enter_context(_admin_server(settings, registry, health))
        target = await stack.enter_async_context(
            _grpc_server(settings, database, redis, verifier, registry)
        )
        server = RunningServer(pid=os.getpid(), target=target, admin=admin.address)
        if settings.embeds_database:
            DataDirectory(settings.data_dir).announce(server)
        _log.info("serving", target=target, admin=admin.address)
        yield server


def _admin_server(settings: Settings, registry: CollectorRegistry, health: Health) -> AdminServer:
    host, port = settings.admin_host, settings.admin_port
    try:
        return AdminServer(registry=registry, health=health, host=host, port=port)
    except OSError as error:
        raise OSError(f"cannot serve metrics on {host}:{port}: {error.strerror}") from error


async def _databases(settings: Settings, stack: AsyncExitStack) -> tuple[str, str]:
    """Return the URLs of PostgreSQL, as the serving role, and of Redis; start what is embedded."""
    directory = DataDirectory(settings.data_dir)
    if settings.embeds_database or settings.redis_url is None:
        directory.create()
        stack.enter_context(directory.server_lock())
    database_url, redis_url = settings.database_url, settings.redis_url
    if database_url is None and not settings.embeds_database:
        raise SettingsError("PATRON_DATABASE_URL", "is required: the database is not embedded")
    if database_url is None:
        urls = stack.enter_context(EmbeddedPostgres(directory.path))
        await migrate(urls.owner)
        database_url = urls.serving
    if redis_url is None:
        redis_url = stack.enter_context(EmbeddedValkey(directory.path))
    return database_url, redis_url


@asynccontextmanager
async def _grpc_server(
    settings: Settings,
    database: Database,
    redis: Redis,
    verifier: TokenVerifier,
    registry: CollectorRegistry,
) -> AsyncIterator[str]:
    """Serve gRPC for as long as the body runs; lends the address."""
    interceptors = default_interceptors(
        registry=registry,
        verifier=verifier,
        capture=capture,
        overload=Overload(max_in_flight=settings.max_in_flight, max_streams=settings.max_streams),
        limiters=_limiters(settings, redis),
        slow_after=settings.slow_call_seconds,
    )
    server = grpc.aio.server(
        interceptors=[Chain(interceptors)],
        # A port that another server has is an error, not half of its calls.
        options=[("grpc.so_reuseport", 0)],
    )
    _add_services(server, settings, database)
    health = grpc_health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    served = [service.full_name for service in SERVICES]
    if settings.is_development:
        names = [*served, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name]
        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    address = f"{settings.host}:{settings.port}"
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: it is taken, or not of this machine") from error
    await server.start()
    for name in ("", *served):
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield f"{settings.host}:{port}"
    finally:
        await health.enter_graceful_shutdown()
        await server.stop(settings.stop_grace_seconds)


def _add_services(server: grpc.aio.Server, settings: Settings, database: Database) -> None:
    secret = _secret(settings)
    digests, pages = Digests(secret), PageTokens(secret)
    writer = PostgresWriter(database, _now)
    customers = Customers(writer, PostgresCustomers(database), parse_phone, _now)
    bills = Bills(writer, PostgresBills(database), parse_phone, _now)
    analytics = Analytics(PostgresRollups(database), _now)
    add_CustomerServiceServicer_to_server(CustomerHandler(customers, digests, pages), server)
    add_BillServiceServicer_to_server(BillHandler(bills, digests, pages), server)
    add_AnalyticsServiceServicer_to_server(AnalyticsHandler(analytics, pages), server)


def _limiters(settings: Settings, redis: Redis) -> dict[str, RedisRateLimiter]:
    rates = {
        "read": settings.rate_limit_read,
        "write": settings.rate_limit_write,
        "analytics": settings.rate_limit_analytics,
        "bulk": settings.rate_limit_bulk,
    }
    leases = RedisLeases(redis, timeout=settings.redis_timeout_seconds)
    return {
        name: RedisRateLimiter(Budget.of(name, rate), leases, workers=settings.workers)
        for name, rate in rates.items()
        if rate
    }


def _verifier(settings: Settings) -> TokenVerifier:
    if settings.auth_jwks_file is not None:
        try:
            keys = KeySet.read(settings.auth_jwks_file, settings.auth_algorithm)
        except KeysUnusable as error:
            problem = f"names a file that cannot be used, {settings.auth_jwks_file}: {error}"
            raise SettingsError("PATRON_AUTH_JWKS_FILE", problem) from error
    else:
        keys = KeySet.read(DevelopmentKey.open(settings.data_dir).jwks_path, ALGORITHM)
    return TokenVerifier(
        keys,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        leeway=settings.auth_leeway_seconds,
    )


def _secret(settings: Settings) -> bytes:
    if settings.secret is not None:
        return settings.secret.encode()
    return read_or_create(settings.data_dir / "secret", lambda: secrets.token_bytes(32))


def _now() -> datetime:
    return datetime.now(UTC)
