"""The scenarios, in the order in which they are measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.load.bench.lab import Lab
from tests.load.bench.report import Outcome
from tests.load.bench.scenarios import (
    bills,
    cached,
    cold,
    customers,
    generator,
    hot,
    memory,
    mixed,
    parts,
    sums,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is measured together."""

    name: str
    what: str
    keys: tuple[str, ...]
    """The figures that it measures."""
    measure: Callable[[Lab], Outcome]


SCENARIOS: Final = (
    Scenario(
        "cached",
        "cached analytics against bare echoes",
        (
            "cached_summary_vs_bare_grpcio",
            "cached_summary_vs_bare_grpc_go",
            "cached_summary_on_grpcio_vs_bare_grpcio",
        ),
        cached.measure,
    ),
    Scenario(
        "customers", "GetCustomer against asyncpg", ("get_customer_vs_asyncpg",), customers.measure
    ),
    Scenario("bills", "CreateBill against pgbench", ("create_bill_vs_pgbench",), bills.measure),
    Scenario(
        "sums",
        "reports on 1,000,000 bills against 10,000",
        ("sums_1m_vs_10k", "distinct_counts_ms"),
        sums.measure,
    ),
    Scenario(
        "users",
        "100 users at once",
        ("users_100_p95_ms", "users_100_errors", "summary_hit_rate"),
        mixed.measure_users,
    ),
    Scenario(
        "connections",
        "1,000 connections",
        ("connections_1000_p99_ms", "connections_1000_errors"),
        mixed.measure_connections,
    ),
    Scenario(
        "hot",
        "one hot merchant",
        ("hot_merchant_bills_per_s", "hot_merchant_others_p99_ratio"),
        hot.measure,
    ),
    Scenario(
        "memory",
        "memory of a worker",
        ("worker_rss_mb", "rss_growth_mb_per_1m_calls"),
        memory.measure,
    ),
    Scenario("cold", "from nothing to the first answer", ("cold_start_s",), cold.measure),
    Scenario(
        "generator",
        "the load generator against ghz and bare grpc.aio",
        ("generator_vs_ghz", "generator_vs_bare_grpcio"),
        generator.measure,
    ),
    Scenario("parts", "single interceptors", ("gate_us", "limiter_us", "auth_us"), parts.measure),
)
"""Every scenario."""
