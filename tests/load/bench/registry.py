"""The scenarios, in the order in which they are measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.load.bench.lab import Lab
from tests.load.bench.report import Outcome
from tests.load.bench.scenarios import bills, cached, customers


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is measured together."""

    name: str
    what: str
    measure: Callable[[Lab], Outcome]


SCENARIOS: Final = (
    Scenario("cached", "cached analytics against bare echoes", cached.measure),
    Scenario("customers", "GetCustomer against asyncpg", customers.measure),
    Scenario("bills", "CreateBill against pgbench", bills.measure),
)
"""Every scenario."""
