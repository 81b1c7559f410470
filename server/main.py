"""The composition root: builds every part once, hands it on, and closes all in reverse."""

import asyncio
import gc
import os
import platform
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from redis.asyncio import Redis

from domain.ports import Writer
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
from server.cache.assembly import running_cache
from server.cache.writer import CacheInvalidatingWriter
from server.embedded import EmbeddedPostgres, EmbeddedValkey
from server.grpc_health import ServingHealth
from server.handlers.analytics import AnalyticsHandler
from server.handlers.bills import BillHandler
from server.handlers.customers import CustomerHandler
from server.handlers.digests import Digests
from server.handlers.page_tokens import PageTokens
from server.health import Health
from server.interceptors import Chain, default_interceptors
from server.interceptors.interceptor import Interceptor
from server.metrics import Readings
from server.metrics.event_loop import sampled_lag
from server.metrics.parts import (
    measure_database_waits,
    measure_event_loop_lag,
    measure_revision_lag,
    show_answers,
    show_invalidations,
    show_pool,
    show_redis,
)
from server.phones import parse_phone
from server.private_files import read_or_create
from server.sentry import capture, close_sentry, init_sentry
from server.settings import Settings, SettingsError
from server.storage.bills import PostgresBills
from server.storage.customers import PostgresCustomers
from server.storage.database import Database
from server.storage.rollups import PostgresRollups
from server.storage.writer import PostgresWriter
from server.tasks import Background

SERVICES = (
    *customer_service_pb2.DESCRIPTOR.services_by_name.values(),
    *bill_service_pb2.DESCRIPTOR.services_by_name.values(),
    *analytics_service_pb2.DESCRIPTOR.services_by_name.values(),
)
"""The services of the contract that this server serves."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that is ready, and where it answers (host:port)."""

    target: str
    admin: str
    health: ServingHealth


async def serve(
    settings: Settings, *, ready: Callable[[Serving], None], orphaned: Callable[[], bool]
) -> None:
    """Serve until SIGTERM or SIGINT, then drain and stop everything.

    Args:
        settings: What to serve with.
        ready: Is told where the server is, once it answers.
        orphaned: Whether nobody is waiting for this to drain: then it ends as soon as the calls in
            flight have.

    Raises:
        SettingsError: A key is missing in production, or a setting makes no sense.
        KeysUnusable: The development key is damaged.
        EmbeddedError: An embedded database cannot be started.
        StorageError: The database is not one that can be served from, or cannot be reached.
        OSError: A port is taken.
    """
    stop = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, stop.set)
    async with running(settings) as server:
        # What is there now stays: collections need not look at it again and again.
        gc.collect()
        gc.freeze()
        ready(server)
        _log.info("serving", target=server.target, admin=server.admin)
        await stop.wait()
        _log.info("draining")
        await server.health.tell(serving=False)
        await asyncio.sleep(0 if orphaned() else settings.drain_seconds)
    _log.info("stopped")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Serving]:
    """Run a server with all its parts for as long as the body runs; raises as `serve` does.

    An embedded database must have its schema. It runs for as long as anybody uses it.
    """
    settings.require_keys()
    verifier = _verifier(settings)
    async with AsyncExitStack() as stack:
        init_sentry(
            settings.sentry_dsn, environment=settings.environment, release=version("patron")
        )
        stack.push_async_callback(asyncio.to_thread, close_sentry)
        registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        readings = Readings(registry)
        traces = await _traces(settings, stack)
        database_url, redis_url = _databases(settings, stack)
        database = await stack.enter_async_context(
            Database.connect(
                database_url,
                pool_size=settings.database_pool_size,
                lock_timeout=settings.lock_timeout_seconds,
                observe_wait=measure_database_waits(readings).observe,
            )
        )
        redis = await stack.enter_async_context(Redis.from_url(redis_url))
        background = Background()
        revision_lag = measure_revision_lag(readings)
        cache = await stack.enter_async_context(
            running_cache(
                redis_url,
                database.revision,
                background,
                patience=settings.redis_timeout_seconds,
                local_lifetime=settings.cache_local_seconds,
                local_capacity=settings.cache_local_mb * 1_000_000,
                observe_lag=revision_lag.observe,
            )
        )
        await stack.enter_async_context(background)
        show_pool(readings, database)
        show_answers(readings, cache.responses.counts, cache.responses.local)
        show_invalidations(readings, cache.invalidations, revision_lag)
        show_redis(readings, cache.shared)
        health = Health(
            asyncio.get_running_loop(),
            needed={"database": database.ping},
            helpful={"redis": redis.ping},
        )
        await stack.enter_async_context(sampled_lag(measure_event_loop_lag(readings).observe))
        admin = stack.enter_context(
            AdminServer(
                registry=registry,
                health=health,
                host=settings.admin_host,
                port=settings.admin_port,
            )
        )
        writer = CacheInvalidatingWriter(
            PostgresWriter(database, _now), cache.invalidations, background
        )
        interceptors = default_interceptors(
            registry=registry,
            verifier=verifier,
            capture=capture,
            answers=cache.responses,
            slow_after=settings.slow_call_seconds,
            traces=traces,
        )
        serving_health = ServingHealth(service.full_name for service in SERVICES)
        target = await stack.enter_async_context(
            _grpc_server(settings, interceptors, database, writer, serving_health)
        )
        yield Serving(target, admin.address, serving_health)


async def _traces(settings: Settings, stack: AsyncExitStack) -> Interceptor | None:
    """Return what traces the calls; None when traces are not wanted."""
    if settings.otlp_endpoint is None:
        return None
    # A server without traces saves OpenTelemetry's memory.
    from server.interceptors.traces import Traces  # noqa: PLC0415
    from server.tracing import tracing  # noqa: PLC0415

    tracer = await stack.enter_async_context(
        tracing(
            settings.otlp_endpoint,
            release=version("patron"),
            instance=f"{platform.node()}:{os.getpid()}",
        )
    )
    return Traces(tracer)


def _databases(settings: Settings, stack: AsyncExitStack) -> tuple[str, str]:
    """Return the URLs of PostgreSQL, as the serving role, and of Redis.

    What is embedded is used together with the supervisor that started it: should that be killed,
    the last worker to end stops it.
    """
    database_url, redis_url = settings.database_url, settings.redis_url
    if database_url is None and not settings.embeds_database:
        raise SettingsError("PATRON_DATABASE_URL", "is required: the database is not embedded")
    if database_url is None:
        database_url = stack.enter_context(EmbeddedPostgres(settings.data_dir)).serving
    if redis_url is None:
        redis_url = stack.enter_context(EmbeddedValkey(settings.data_dir))
    return database_url, redis_url


@asynccontextmanager
async def _grpc_server(
    settings: Settings,
    interceptors: Sequence[Interceptor],
    database: Database,
    writer: Writer,
    health: ServingHealth,
) -> AsyncIterator[str]:
    """Serve gRPC for as long as the body runs; lends the address."""
    # Other workers listen on the same port; that nobody else has it, their supervisor checks.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
    registration = Chain(interceptors).around(server)
    _add_services(registration, settings, database, writer)
    health_pb2_grpc.add_HealthServicer_to_server(health, registration)
    if settings.is_development:
        names = [service.full_name for service in SERVICES]
        names.append(health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
            reflection.aio.ReflectionServicer([*names, reflection.SERVICE_NAME]), registration
        )
    address = f"{settings.host}:{settings.port}"
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: it is taken, or not of this machine") from error
    await health.tell(serving=False)
    await server.start()
    await health.tell(serving=True)
    try:
        yield f"{settings.host}:{port}"
    finally:
        await health.close()
        await server.stop(settings.stop_grace_seconds)


def _add_services(
    server: grpc.aio.Server, settings: Settings, database: Database, writer: Writer
) -> None:
    secret = _secret(settings)
    digests, pages = Digests(secret), PageTokens(secret)
    customers = Customers(writer, PostgresCustomers(database), parse_phone, _now)
    bills = Bills(writer, PostgresBills(database), parse_phone, _now)
    analytics = Analytics(PostgresRollups(database), _now)
    add_CustomerServiceServicer_to_server(CustomerHandler(customers, digests, pages), server)
    add_BillServiceServicer_to_server(BillHandler(bills, digests, pages), server)
    add_AnalyticsServiceServicer_to_server(AnalyticsHandler(analytics, pages), server)


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
