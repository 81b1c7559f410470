"""A scenario as it is asked for, resolved: nothing that it names has been opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from load.config.model import Config
from load.data.choosing import Order
from load.jobs import Pace


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that calls are made with: those of a file, or the first ones of other rows."""

    file: str = ""
    of: str = ""
    """The name of the other rows."""
    first: int | None = None
    """How many; None: all."""


@dataclass(frozen=True, slots=True)
class ScenarioCall:
    """One of the calls."""

    config: Config
    """What is called, and with what: the options of the scenario, with those of the call."""
    weight: float
    rows: str
    """The name of the rows; empty: it needs none."""
    order: Order


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario."""

    config: Config
    """The options that all calls share, and those of the report."""
    pace: Pace
    rows: Mapping[str, Rows]
    calls: Sequence[ScenarioCall]
    thresholds: Sequence[str]
    trailers: Sequence[str]
    warnings: Sequence[str]
    """What there is to say of it, in a line each."""
