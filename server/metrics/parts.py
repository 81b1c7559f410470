"""Which metrics show which numbers of a part.

A part knows nothing of metrics: it keeps plain numbers, under the names of the protocols here.
"""

from collections.abc import Mapping
from functools import partial
from typing import Protocol

from server.metrics.readings import Readings


class Pool(Protocol):
    """The connections to PostgreSQL."""

    @property
    def idle_connections(self) -> int:
        """How many wait to be used."""

    @property
    def busy_connections(self) -> int:
        """How many are lent to calls."""

    @property
    def max_connections(self) -> int:
        """How many there may be."""


class CacheCounts(Protocol):
    """What the cache of answers has done, and holds."""

    local_hits: int
    local_misses: int
    shared_hits: int
    shared_misses: int
    fills_stored: int
    fills_refused: int
    """Fills that came too late: the merchant had changed meanwhile."""
    invalidations_sent: int
    invalidations_received: int

    @property
    def entries(self) -> int:
        """How many answers the worker holds."""

    @property
    def bytes(self) -> int:
        """How much memory they take."""

    @property
    def channel_up(self) -> bool:
        """Whether the worker hears of other workers' writes."""

    @property
    def invalidations_pending(self) -> int:
        """How many of this worker's writes Redis has not heard of yet."""


class RedisCounts(Protocol):
    """How Redis does."""

    errors: int

    @property
    def breaker_open(self) -> bool:
        """Whether Redis isn't asked for a while, because it failed."""


class LimiterCounts(Protocol):
    """What the rate limiter has decided."""

    passed: Mapping[str, int]
    """By class, all of which are there from the beginning; so in `refused`."""
    refused: Mapping[str, int]
    leases: int
    """How often Redis was asked for a share of a limit."""

    @property
    def fallback(self) -> bool:
        """Whether the worker limits by itself, without Redis."""


class Load(Protocol):
    """The work of the moment."""

    @property
    def in_flight(self) -> int:
        """How many calls have begun and not ended."""

    @property
    def max_in_flight(self) -> int:
        """How many may be."""

    @property
    def streams(self) -> int:
        """How many streams are open."""


class KeyRefreshes(Protocol):
    """How often the public keys were read again."""

    refresh_failures: int


def show_pool(readings: Readings, pool: Pool) -> None:
    """Show the connections to PostgreSQL."""
    readings.gauge(
        "patron_database_connections",
        "Connections to PostgreSQL.",
        {("idle",): lambda: pool.idle_connections, ("busy",): lambda: pool.busy_connections},
        ["state"],
    )
    readings.gauge(
        "patron_database_connections_max",
        "How many connections to PostgreSQL there may be.",
        lambda: pool.max_connections,
    )


def show_cache(readings: Readings, cache: CacheCounts) -> None:
    """Show the cache of answers."""
    readings.counter(
        "patron_cache_requests_total",
        "Answers looked up.",
        {
            ("local", "hit"): lambda: cache.local_hits,
            ("local", "miss"): lambda: cache.local_misses,
            ("shared", "hit"): lambda: cache.shared_hits,
            ("shared", "miss"): lambda: cache.shared_misses,
        },
        ["tier", "result"],
    )
    readings.counter(
        "patron_cache_fills_total",
        "Answers brought to the shared tier, and those that it refused as stale.",
        {("stored",): lambda: cache.fills_stored, ("refused",): lambda: cache.fills_refused},
        ["outcome"],
    )
    readings.gauge("patron_cache_entries", "Answers in the worker's memory.", lambda: cache.entries)
    readings.gauge("patron_cache_bytes", "Memory of these answers.", lambda: cache.bytes)
    readings.gauge(
        "patron_cache_channel_up",
        "1 while the worker hears of other workers' writes.",
        lambda: cache.channel_up,
    )
    readings.counter(
        "patron_cache_invalidations_total",
        "New revisions of merchants, told to Redis and heard from it.",
        {
            ("sent",): lambda: cache.invalidations_sent,
            ("received",): lambda: cache.invalidations_received,
        },
        ["direction"],
    )
    readings.gauge(
        "patron_cache_invalidations_pending",
        "New revisions that Redis has not been told of yet.",
        lambda: cache.invalidations_pending,
    )


def show_redis(readings: Readings, redis: RedisCounts) -> None:
    """Show how Redis does."""
    readings.gauge(
        "patron_redis_breaker_open",
        "1 while Redis is not asked, because it failed.",
        lambda: redis.breaker_open,
    )
    readings.counter(
        "patron_redis_errors_total",
        "Commands that Redis failed, or did not answer in time.",
        lambda: redis.errors,
    )


def show_limiter(readings: Readings, limiter: LimiterCounts) -> None:
    """Show the rate limiter."""
    decisions = {"passed": limiter.passed, "refused": limiter.refused}
    readings.counter(
        "patron_rate_limit_decisions_total",
        "Calls that the rate limits let pass and refused.",
        {
            (class_, outcome): partial(counts.__getitem__, class_)
            for outcome, counts in decisions.items()
            for class_ in counts
        },
        ["class", "outcome"],
    )
    readings.counter(
        "patron_rate_limit_leases_total",
        "Shares of a limit that the worker asked Redis for.",
        lambda: limiter.leases,
    )
    readings.gauge(
        "patron_rate_limit_fallback",
        "1 while the worker limits by itself, without Redis.",
        lambda: limiter.fallback,
    )


def show_load(readings: Readings, load: Load) -> None:
    """Show the work of the moment."""
    readings.gauge("patron_in_flight", "Calls in flight.", lambda: load.in_flight)
    readings.gauge(
        "patron_in_flight_max", "How many calls may be in flight.", lambda: load.max_in_flight
    )
    readings.gauge("patron_streams", "Open streams.", lambda: load.streams)


def show_keys(readings: Readings, keys: KeyRefreshes) -> None:
    """Show whether the public keys are fresh."""
    readings.counter(
        "patron_jwks_refresh_failures_total",
        "Times that the public keys could not be read again.",
        lambda: keys.refresh_failures,
    )
