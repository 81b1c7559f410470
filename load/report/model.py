"""A report as ghz writes it, field by field, in its order.

Durations are nanoseconds, marks of the histogram seconds. Source: `runner/reporter.go` of ghz.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec

Instant: TypeAlias = Annotated[
    str,
    msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$"),
]
"""RFC 3339, with up to nanoseconds, in any zone."""


class Latency(msgspec.Struct, frozen=True):
    """A percentile."""

    percentage: float
    latency: int


class Bucket(msgspec.Struct, frozen=True):
    """A bar of the histogram: the calls above the bar before it and up to `mark`."""

    mark: float
    count: int
    frequency: float


class Detail(msgspec.Struct, frozen=True):
    """A call."""

    timestamp: Instant
    """When it ended."""
    latency: int
    error: str
    status: str


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """What one of the two clocks says about calls, from an HdrHistogram of three digits."""

    count: int
    average: int
    fastest: int
    slowest: int
    percentiles: Mapping[str, int]
    """By name: p50, p75, p90, p95, p99, p99.9, p99.99."""
    histogram: str
    """The HdrHistogram of microseconds, compressed, in base64 (V2): it can be added to others."""


class CallReport(msgspec.Struct, frozen=True, kw_only=True):
    """One of the calls of a run."""

    call: str
    """The fully qualified name of the method."""
    count: int
    rps: float
    errors: int
    statuses: Mapping[str, int]
    cut_off: int = 0
    """How many of `errors` are calls in flight that the run ended itself."""
    service: Clock
    response: Clock
    trailers: Mapping[str, Mapping[str, int]] = msgspec.field(default_factory=dict)
    """How often each counted trailer had each value; also of calls that are skipped."""


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the run; the parts have the same length, a whole number of seconds."""

    at: float
    """Seconds since the beginning."""
    count: int
    errors: int
    service: Mapping[str, int]
    """p50, p95, p99 and max of the calls that ended in it, in nanoseconds."""
    response: Mapping[str, int]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where the load came from."""

    id: str
    """The same for the same machine; tells nothing else about it."""
    system: str
    processor: str
    cores: int
    python: str


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate found."""

    gate: str
    """As it was asked for, such as `p95<2s`."""
    outcome: str
    """pass, fail or inconclusive."""
    figure: str
    """What was measured, such as `2.31 s`."""
    gap: str
    """How far that is from what was asked for, such as `0.31 s over`."""
    regression: bool = False
    """Whether it compares with another server or report."""


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """What ghz does not have."""

    version: str
    machine: Machine
    processes: int
    generator_busy: float
    """Which share of a core the busiest process used: near 1, it was the generator's fault."""
    late: int
    """Calls that began more than 10 ms after they were meant to."""
    dropped: int
    """Calls that should have been begun and were not."""
    scheduled: bool
    """Whether calls were meant to begin at some time: else the two clocks are one."""
    service: Clock
    response: Clock
    calls: Sequence[CallReport]
    timeline: Sequence[Second]
    scenario: Mapping[str, Any] | None = None
    """What the calls of a scenario had to do, by the keys of its file; None: it was none.

    Without what may be secret or is another one elsewhere: data, metadata, and paths.
    """
    messages_sent: int = 0
    """In all calls, also in those that are skipped."""
    messages_received: int = 0
    """The same."""
    calibration: float | None = None
    """Calls per second of a bare echo on this machine, just before the run."""
    failure: str = ""
    """What kept the run from going on, such as data that makes no message; empty: nothing."""
    warnings: Sequence[str] = ()
    gates: Sequence[GateResult] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A report."""

    date: Instant
    """When it ended; JSON tells of whole seconds."""
    name: str = ""
    end_reason: str = msgspec.field(default="normal", name="endReason")
    options: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """By the keys that reports have for them, which are not quite those of configurations."""
    count: int = 0
    total: int = 0
    average: int = 0
    fastest: int = 0
    slowest: int = 0
    rps: float = 0
    error_distribution: Mapping[str, int] = msgspec.field(
        default_factory=dict, name="errorDistribution"
    )
    status_code_distribution: Mapping[str, int] = msgspec.field(
        default_factory=dict, name="statusCodeDistribution"
    )
    latency_distribution: Sequence[Latency] | None = msgspec.field(
        default=None, name="latencyDistribution"
    )
    histogram: Sequence[Bucket] | None = None
    details: Sequence[Detail] | None = None
    tags: Mapping[str, str] | None = None
    patron: Extra | None = None
    """None: ghz wrote it."""
