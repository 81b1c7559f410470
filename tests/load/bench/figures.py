"""What `make bench` measures, and what is to be reached."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

Values: TypeAlias = Mapping[str, float | None]
"""Figures by key; None: not measurable here."""


class Bound(enum.StrEnum):
    """How a figure is held against its target."""

    AT_LEAST = "≥"
    AT_MOST = "≤"
    BELOW = "<"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, by its key in the report."""

    key: str
    what: str
    bound: Bound
    target: float
    unit: str = ""
    of_this_machine: bool = False
    """Whether it is a time, a size or a rate, which another machine has others of."""

    def meets(self, value: float) -> bool:
        """Return whether a value reaches the target."""
        match self.bound:
            case Bound.AT_LEAST:
                return value >= self.target
            case Bound.AT_MOST:
                return value <= self.target
            case Bound.BELOW:
                return value < self.target


FIGURES: Final = (
    Figure(
        "cached_summary_vs_bare_grpcio",
        "GetSummary from the cache, against a bare grpc.aio echo of its size",
        Bound.AT_LEAST,
        7,
    ),
    Figure(
        "cached_summary_vs_bare_grpc_go",
        "the same, against a bare grpc-go echo",
        Bound.AT_LEAST,
        0.3,
    ),
    Figure(
        "cached_summary_on_grpcio_vs_bare_grpcio",
        "the same served by grpcio, against the bare grpc.aio echo",
        Bound.AT_LEAST,
        0.9,
    ),
    Figure(
        "get_customer_vs_asyncpg",
        "GetCustomer, against asyncpg making the same round trips",
        Bound.AT_LEAST,
        0.5,
    ),
    Figure(
        "create_bill_vs_pgbench",
        "CreateBill of 3 lines and a payment, against pgbench running the same statements",
        Bound.AT_LEAST,
        0.4,
    ),
    Figure(
        "sums_1m_vs_10k",
        "sums over a year: the time with 1,000,000 bills, against that with 10,000",
        Bound.AT_MOST,
        1.3,
    ),
    Figure(
        "distinct_counts_ms",
        "distinct customers of a year, of 1,000,000 bills",
        Bound.AT_MOST,
        10,
        "ms",
        of_this_machine=True,
    ),
    Figure(
        "users_100_p95_ms",
        "100 users at once, mixed: p95",
        Bound.BELOW,
        50,
        "ms",
        of_this_machine=True,
    ),
    Figure("users_100_errors", "100 users at once, mixed: errors", Bound.AT_MOST, 0),
    Figure(
        "summary_hit_rate", "GetSummary from the cache in the mixed scenario", Bound.AT_LEAST, 0.9
    ),
    Figure(
        "connections_1000_p99_ms",
        "1,000 connections, a call a second each: p99",
        Bound.BELOW,
        1000,
        "ms",
        of_this_machine=True,
    ),
    Figure(
        "connections_1000_errors",
        "1,000 connections, a call a second each: errors",
        Bound.AT_MOST,
        0,
    ),
    Figure(
        "hot_merchant_bills_per_s",
        "one hot merchant, 200 writers: bills",
        Bound.AT_LEAST,
        200,
        "/s",
        of_this_machine=True,
    ),
    Figure(
        "hot_merchant_others_p99_ratio",
        "p99 of the other merchants meanwhile, against alone",
        Bound.AT_MOST,
        1.5,
    ),
    Figure(
        "worker_rss_mb", "memory of a warm worker", Bound.BELOW, 200, "MB", of_this_machine=True
    ),
    Figure(
        "rss_growth_mb_per_1m_calls",
        "its growth over 1,000,000 calls",
        Bound.BELOW,
        10,
        "MB",
        of_this_machine=True,
    ),
    Figure(
        "cold_start_s",
        "`make run` to the first answered call",
        Bound.BELOW,
        5,
        "s",
        of_this_machine=True,
    ),
    Figure("gate_us", "the feature gate, once decided", Bound.BELOW, 2, "µs", of_this_machine=True),
    Figure("limiter_us", "the rate limit", Bound.BELOW, 5, "µs", of_this_machine=True),
    Figure("auth_us", "auth of a known token", Bound.BELOW, 2, "µs", of_this_machine=True),
    Figure(
        "generator_vs_ghz",
        "small unary calls per second of `patron-load` on one core, against ghz",
        Bound.AT_LEAST,
        0.8,
    ),
    Figure(
        "generator_vs_bare_grpcio",
        "the same, against a bare grpc.aio client",
        Bound.AT_LEAST,
        0.9,
    ),
)
"""Every figure, in the order of the report."""
