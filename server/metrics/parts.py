"""Which metrics there are of the parts, and which of their numbers each shows.

A part knows nothing of metrics: it keeps plain numbers, under the names of the protocols here, or
is given the `observe` of a histogram to call.
"""

from collections.abc import Callable, Collection, Mapping, Sized
from functools import partial
from typing import Protocol

from server.metrics.histogram import WAITS, Histogram
from server.metrics.readings import Labels, Read, Readings


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


class AnswerCounts(Protocol):
    """How answers were looked up."""

    local_hits: int
    local_misses: int
    shared_hits: int
    shared_misses: int
    fills_stored: int
    fills_refused: int
    """How many answers were too old to be stored: the merchant had changed meanwhile."""


class LocalAnswers(Sized, Protocol):
    """The answers in a worker's memory."""

    @property
    def size(self) -> int:
        """How many bytes they take."""

    @property
    def is_open(self) -> bool:
        """Whether the worker hears of other workers' writes; without that it keeps no answer."""


class Invalidations(Protocol):
    """What other workers are told of this one's writes."""

    sent: int

    @property
    def pending(self) -> int:
        """How many writes Redis was not told of yet."""


class Breaker(Protocol):
    """What spares calls the wait for a part that fails."""

    @property
    def is_open(self) -> bool:
        """Whether the part is left alone."""


class RedisClient(Protocol):
    """What Redis is asked through."""

    errors: int

    @property
    def breaker(self) -> Breaker:
        """What spares calls the wait for Redis."""


class KeyReads(Protocol):
    """How often the keys of tokens were read again."""

    read_well: int
    failed: int


class LimiterCounts(Protocol):
    """What a rate limiter has decided."""

    asked: int
    """How often Redis was asked for a lease."""
    passed: int
    refused: int
    fallbacks: int
    """How many of the decisions were made without Redis."""


class Shares(Protocol):
    """How many merchants have which feature."""

    def share(self, feature: str) -> int | None:
        """Return the percentage of merchants that have a feature; None: no percentage decides."""


class AskedFlags(Protocol):
    """Flags that somebody else decides about."""

    @property
    def age(self) -> float:
        """How many seconds ago their owner told which hold."""


class Load(Protocol):
    """The work of the moment."""

    in_flight: int
    streams: int


class BackgroundWork(Protocol):
    """What goes on when the call that began it is over."""

    @property
    def abandoned(self) -> int:
        """How many tasks go on though the clients of their calls have left."""


class ErrorKinds(Protocol):
    """The kinds of unexpected errors, each by kind, feature and arm."""

    def errors(self) -> Mapping[Labels, float]:
        """Return how many errors there were."""

    def merchants(self) -> Mapping[Labels, float]:
        """Return how many merchants they have reached."""


def measure_database_waits(readings: Readings) -> Histogram:
    """Return the histogram of how long calls wait for a connection, in seconds."""
    return readings.histogram(
        "patron_database_acquire_seconds",
        "Seconds that a call waited for a connection to PostgreSQL.",
        WAITS,
    )


def measure_event_loop_lag(readings: Readings) -> Histogram:
    """Return the histogram of how late the event loop is, in seconds."""
    return readings.histogram(
        "patron_event_loop_lag_seconds", "Seconds that timers fired after their time.", WAITS
    )


def measure_revision_lag(readings: Readings) -> Histogram:
    """Return the histogram of how long after a commit a worker hears of it, in seconds."""
    return readings.histogram(
        "patron_revision_lag_seconds",
        "Seconds from a write's commit until a worker heard of its revision.",
        WAITS,
    )


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


def show_answers(readings: Readings, counts: AnswerCounts, local: LocalAnswers) -> None:
    """Show the cache of answers."""
    readings.counter(
        "patron_cache_requests_total",
        "Answers looked up.",
        {
            ("local", "hit"): lambda: counts.local_hits,
            ("local", "miss"): lambda: counts.local_misses,
            ("shared", "hit"): lambda: counts.shared_hits,
            ("shared", "miss"): lambda: counts.shared_misses,
        },
        ["tier", "result"],
    )
    readings.counter(
        "patron_cache_fills_total",
        "Answers brought to the shared tier, and those that it refused as stale.",
        {("stored",): lambda: counts.fills_stored, ("refused",): lambda: counts.fills_refused},
        ["outcome"],
    )
    readings.gauge("patron_cache_entries", "Answers in the worker's memory.", lambda: len(local))
    readings.gauge("patron_cache_bytes", "Memory of these answers.", lambda: local.size)
    readings.gauge(
        "patron_cache_channel_up",
        "1 while the worker hears of other workers' writes.",
        lambda: local.is_open,
    )


def show_invalidations(readings: Readings, invalidations: Invalidations, lag: Histogram) -> None:
    """Show what workers tell each other of writes; `lag` is of the revisions that were heard of."""
    readings.counter(
        "patron_cache_invalidations_total",
        "New revisions of merchants, told to other workers and heard from all.",
        {("sent",): lambda: invalidations.sent, ("received",): lambda: lag.count},
        ["direction"],
    )
    readings.gauge(
        "patron_cache_invalidations_pending",
        "New revisions that other workers could not be told of yet.",
        lambda: invalidations.pending,
    )


def show_redis(readings: Readings, redis: RedisClient) -> None:
    """Show how Redis does."""
    readings.gauge(
        "patron_redis_breaker_open",
        "1 while Redis is not asked, because it failed.",
        lambda: redis.breaker.is_open,
    )
    readings.counter(
        "patron_redis_errors_total",
        "Commands of the cache that Redis failed, or did not answer in time.",
        lambda: redis.errors,
    )


def show_keys(readings: Readings, keys: KeyReads) -> None:
    """Show how often the keys of tokens were read again."""
    readings.counter(
        "patron_auth_key_reads_total",
        "How often the keys of tokens were read again.",
        {("ok",): lambda: keys.read_well, ("failed",): lambda: keys.failed},
        ["outcome"],
    )


def show_limiters(readings: Readings, limiters: Mapping[str, LimiterCounts]) -> None:
    """Show the rate limits, by the class of their calls."""

    def of_each(number: Callable[[LimiterCounts], int], *labels: str) -> dict[Labels, Read]:
        return {(name, *labels): partial(number, counts) for name, counts in limiters.items()}

    readings.counter(
        "patron_rate_limit_decisions_total",
        "Calls that the rate limits let pass and refused.",
        of_each(lambda counts: counts.passed, "passed")
        | of_each(lambda counts: counts.refused, "refused"),
        ["class", "outcome"],
    )
    readings.counter(
        "patron_rate_limit_leases_total",
        "Leases that Redis was asked for.",
        of_each(lambda counts: counts.asked),
        ["class"],
    )
    readings.counter(
        "patron_rate_limit_fallbacks_total",
        "Calls that a worker decided about by itself, without Redis.",
        of_each(lambda counts: counts.fallbacks),
        ["class"],
    )


def show_shares(readings: Readings, shares: Shares, features: Collection[str]) -> None:
    """Show how many merchants have these features by the flags that the worker decides by."""
    readings.gauge(
        "patron_feature_rollout_percent",
        "Percentage of the merchants that have the feature, by the flags that the worker has.",
        {(feature,): partial(shares.share, feature) for feature in sorted(features)},
        ["feature"],
    )


def show_flags(readings: Readings, flags: AskedFlags) -> None:
    """Show how old the flags are."""
    readings.gauge(
        "patron_flags_age_seconds",
        "Seconds since Unleash last told which flags hold.",
        lambda: flags.age,
    )


def show_load(
    readings: Readings,
    load: Load,
    background: BackgroundWork,
    *,
    max_in_flight: int,
    max_streams: int,
) -> None:
    """Show the work of the moment, and how much there may be."""
    readings.gauge("patron_in_flight", "Calls in flight.", lambda: load.in_flight)
    readings.gauge(
        "patron_background_tasks",
        "Work that goes on for calls whose clients have left.",
        lambda: background.abandoned,
    )
    readings.gauge(
        "patron_in_flight_max", "How many calls may be in flight.", lambda: max_in_flight
    )
    readings.gauge("patron_streams", "Open streams.", lambda: load.streams)
    readings.gauge("patron_streams_max", "How many streams may be open.", lambda: max_streams)


def show_error_kinds(readings: Readings, kinds: ErrorKinds) -> None:
    """Show the kinds of unexpected errors."""
    labels = ["kind", "feature", "arm"]
    readings.counters(
        "patron_unexpected_errors_total",
        "Calls that ended with an error that nobody expected, by its class.",
        kinds.errors,
        labels,
    )
    readings.gauges(
        "patron_unexpected_error_merchants",
        "Merchants whose calls ended so, on any worker, until none has for 30 days.",
        kinds.merchants,
        labels,
    )
