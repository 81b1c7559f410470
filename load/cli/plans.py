"""What is to be run, whichever way it was asked for: by ghz's options, or by a scenario."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from load.config.model import Config
from load.config.printing import to_file
from load.config.resolving import Resolved

if TYPE_CHECKING:
    # These import gRPC, which whoever only shows a plan need not wait for.
    from load.jobs import Job
    from load.runs import Telling
    from load.scenarios.model import Scenario


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run; nothing that it names has been opened."""

    config: Config
    """The options of the run, of its report and of its log."""
    document: Mapping[str, Any]
    """All of it, as a file says it."""
    warnings: Sequence[str]
    """What there is to say of it, in a line each."""
    thresholds: Sequence[str]
    """Those that it says itself."""
    prepare: "Callable[[int], tuple[Job, Telling]]"
    """Returns what is done by so many processes, 0: by as many as have something to do, and how it
    is told of; raises LoadError."""


def plan_of(resolved: Resolved) -> Plan:
    """Return the plan that ghz's options come to."""

    def prepare(processes: int) -> "tuple[Job, Telling]":
        from load.runs import prepare, read_input, telling_of

        given = read_input(resolved.config, sys.stdin.buffer)
        job = prepare(resolved.config, given, processes=processes)
        return job, telling_of(resolved.config, given, resolved.warnings)

    return Plan(
        config=resolved.config,
        document=to_file(resolved.config),
        warnings=resolved.warnings,
        thresholds=(),
        prepare=prepare,
    )


def plan_of_scenario(scenario: "Scenario") -> Plan:
    """Return the plan of a scenario."""
    from load.scenarios.printing import to_document

    def prepare(processes: int) -> "tuple[Job, Telling]":
        from load.runs import prepare_scenario, telling_of_scenario

        return prepare_scenario(scenario, processes=processes), telling_of_scenario(scenario)

    return Plan(
        config=scenario.config,
        document=to_document(scenario),
        warnings=scenario.warnings,
        thresholds=scenario.thresholds,
        prepare=prepare,
    )
