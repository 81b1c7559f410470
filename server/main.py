"""The composition root: builds every part once, hands it on, and closes all in reverse."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from domain.ports import Features, Ratings, Writer
from server.admin import AdminServer
from server.auth.verification import token_verifier
from server.cache.assembly import Cache, running_cache
from server.cache.writer import CacheInvalidatingWriter
from server.embedded import EmbeddedPostgres, EmbeddedValkey
from server.error_kinds import ErrorKinds
from server.features import running_features
from server.grpc_health import ServingHealth
from server.health import Health
from server.interceptor_parts import build_limiters, build_overload, open_traces
from server.interceptors import Chain, default_interceptors
from server.interceptors.interceptor import Interceptor
from server.metrics import Readings
from server.metrics.event_loop import sampled_lag
from server.metrics.parts import (
    measure_database_waits,
    measure_event_loop_lag,
    measure_revision_lag,
    show_answers,
    show_error_kinds,
    show_invalidations,
    show_keys,
    show_pool,
    show_redis,
    show_shares,
)
from server.metrics.ratings import RatingCounts
from server.redis_client import ping, quick_redis
from server.sentry import capture, close_sentry, init_sentry
from server.services import FEATURES, SERVICES, add_services, add_standard_services, now
from server.settings import Settings, SettingsError
from server.storage.database import Database
from server.storage.writer import PostgresWriter
from server.tasks import Background
from server.transports import open_server

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that is ready, and where it answers (host:port)."""

    target: str
    admin: str
    health: ServingHealth


async def serve(
    settings: Settings,
    *,
    number: int,
    ready: Callable[[Serving], None],
    orphaned: Callable[[], bool],
) -> None:
    """Serve until SIGTERM or SIGINT, then drain and stop everything.

    Args:
        settings: What to serve with.
        number: Which of the workers on the data directory this is.
        ready: Is told where the server is, once it answers.
        orphaned: Whether nobody is waiting for this to drain: then it ends as soon as the calls in
            flight have.

    Raises:
        SettingsError: A key is missing in production or cannot be used, a file of flags holds
            none, or a setting makes no sense.
        KeysUnusable: The development key is damaged.
        EmbeddedError: An embedded database cannot be started.
        StorageError: The database is not one that can be served from, or cannot be reached.
        OSError: A port is taken.
    """
    stop = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, stop.set)
    async with running(settings, number=number) as server:
        # What is there now stays: collections need not look at it again and again.
        gc.collect()
        gc.freeze()
        ready(server)
        _log.info("serving", target=server.target, admin=server.admin)
        await stop.wait()
        _log.info("draining")
        await server.health.tell(serving=False)
        await asyncio.sleep(0 if orphaned() else settings.drain_pause)
    _log.info("stopped")


@asynccontextmanager
async def running(settings: Settings, *, number: int = 0) -> AsyncIterator[Serving]:
    """Run a server with all its parts for as long as the body runs; raises as `serve` does.

    An embedded database must have its schema. It runs for as long as anybody uses it. Workers that
    share a data directory have each a number of its own.
    """
    settings.require_keys()
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    readings = Readings(registry)
    async with AsyncExitStack() as stack:
        init_sentry(
            settings.sentry_dsn, environment=settings.environment, release=version("patron")
        )
        stack.push_async_callback(asyncio.to_thread, close_sentry)
        verifier, keys = await stack.enter_async_context(token_verifier(settings))
        show_keys(readings, keys)
        features = await stack.enter_async_context(running_features(settings, number, readings))
        show_shares(readings, features, FEATURES | {settings.rollout_flag})
        traces = await open_traces(settings, stack)
        database_url, redis_url = _databases(settings, stack)
        database = await _database(settings, database_url, readings, stack)
        patience = settings.redis_timeout_seconds
        redis = await stack.enter_async_context(quick_redis(redis_url, patience=patience))
        background = Background()
        cache = await _cache(settings, redis_url, database, background, readings, stack)
        await stack.enter_async_context(background)
        await stack.enter_async_context(sampled_lag(measure_event_loop_lag(readings).observe))
        health = Health(
            asyncio.get_running_loop(),
            needed={"database": database.ping},
            helpful={"redis": partial(ping, redis)},
        )
        error_kinds = ErrorKinds(redis, {*FEATURES, settings.rollout_flag})
        await stack.enter_async_context(error_kinds.running())
        show_error_kinds(readings, error_kinds)
        admin = stack.enter_context(
            AdminServer(
                registry=registry,
                health=health,
                host=settings.admin_host,
                port=settings.admin_port,
            )
        )
        interceptors = default_interceptors(
            registry=registry,
            verifier=verifier,
            capture=capture,
            note=error_kinds.note,
            overload=build_overload(settings, background, readings),
            limiters=build_limiters(settings, redis, readings),
            features=features,
            watched=settings.rollout_flag,
            answers=cache.responses,
            slow_after=settings.slow_call_seconds,
            traces=traces,
        )
        writer = CacheInvalidatingWriter(
            PostgresWriter(database, now), cache.invalidations, background
        )
        serving_health = ServingHealth(service.full_name for service in SERVICES)
        target = await stack.enter_async_context(
            _grpc_server(
                settings,
                interceptors,
                database,
                writer,
                features,
                RatingCounts(FEATURES, readings),
                serving_health,
            )
        )
        yield Serving(target, admin.address, serving_health)


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


async def _database(
    settings: Settings, url: str, readings: Readings, stack: AsyncExitStack
) -> Database:
    database = await stack.enter_async_context(
        Database.connect(
            url,
            pool_size=settings.database_pool_size,
            lock_timeout=settings.lock_timeout_seconds,
            observe_wait=measure_database_waits(readings).observe,
        )
    )
    show_pool(readings, database)
    return database


async def _cache(  # noqa: PLR0917 - each is a part of its own
    settings: Settings,
    redis_url: str,
    database: Database,
    background: Background,
    readings: Readings,
    stack: AsyncExitStack,
) -> Cache:
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
    show_answers(readings, cache.responses.counts, cache.responses.local)
    show_invalidations(readings, cache.invalidations, revision_lag)
    show_redis(readings, cache.shared)
    return cache


@asynccontextmanager
async def _grpc_server(  # noqa: PLR0917 - each is a part of its own
    settings: Settings,
    interceptors: Sequence[Interceptor],
    database: Database,
    writer: Writer,
    features: Features,
    ratings: Ratings,
    health: ServingHealth,
) -> AsyncIterator[str]:
    """Serve gRPC for as long as the body runs; lends the address."""
    # Other workers listen on the same port; that nobody else has it, their supervisor checks.
    server, port = open_server(settings)
    registration = Chain(interceptors).around(server)
    add_services(registration, settings, database, writer, features, ratings)
    add_standard_services(registration, health, with_reflection=settings.is_development)
    await health.tell(serving=False)
    await server.start()
    await health.tell(serving=True)
    try:
        yield f"{settings.host}:{port}"
    finally:
        await health.close()
        await server.stop(settings.stop_grace_seconds)
