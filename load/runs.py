"""A run from its configuration to its report."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO, Final

from load.calls import Call, Stream
from load.config.model import Config
from load.config.pacing import pace_of, seconds
from load.config.values import STANDARD_INPUT, parse_json
from load.data.inputs import given_data, given_metadata
from load.data.sources import source_of
from load.engine import generate
from load.engine.schedules import staircase
from load.errors import ConfigError
from load.jobs import Job, Pace, Shape
from load.recording import Progress, Recording, build_report
from load.report.model import Report
from load.report.options import options_of
from load.scenarios.building import job_of
from load.scenarios.model import Scenario
from load.scenarios.printing import to_told
from load.targets.connecting import target_of
from load.targets.methods import find_method

_PROGRESS_EVERY: Final = 0.25
_MANY_STAIRS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How the calls of a run are told of."""

    options: Mapping[str, Any]
    """As reports have them."""
    scenario: Mapping[str, Any] | None = None
    """What reports say of it, if it is one."""
    tags: Mapping[str, str] | None = None
    skip_first: int = 0
    count_errors: bool = False
    warnings: Sequence[str] = ()


def read_input(config: Config, stdin: BinaryIO) -> bytes:
    """Return what is read from standard input, if the configuration says that something is."""
    # A file goes first.
    reads = not config.binary_file and (config.binary or config.data == STANDARD_INPUT)
    return stdin.read() if reads else b""


def prepare(config: Config, given: bytes, *, processes: int = 0) -> Job:
    """Return what is to be done: files have been read, the method found, and the messages made.

    Args:
        config: The options.
        given: What was read from standard input.
        processes: How many processes generate the load; 0: as many as can be.

    Raises:
        LoadError: The server cannot be asked, there is no such method, or the data makes no
            message of it.
    """
    pace = pace_of(config)
    processes = processes_for(config, pace, processes)
    target = target_of(config)
    method = find_method(config, target)
    call = Call(
        method=method,
        source=source_of(config, method, BytesIO(given)),
        timeout=seconds(config.timeout),
        stream=Stream(
            interval=seconds(config.stream_interval),
            duration=seconds(config.stream_call_duration),
            count=config.stream_call_count,
        ),
    )
    return Job(
        target=target,
        calls=(call,),
        pace=pace,
        name=config.name,
        connections=config.connections,
        processes=processes,
    )


def prepare_scenario(scenario: Scenario, *, processes: int = 0) -> Job:
    """Return what is to be done: files have been read, methods found, and the messages made.

    Args:
        scenario: What is asked for.
        processes: How many processes generate the load; 0: as many as have something to do.

    Raises:
        LoadError: The server cannot be asked, there is no such method, or the data makes no
            message of one.
    """
    processes = processes_for(scenario.config, scenario.pace, processes)
    return replace(job_of(scenario), processes=processes)


def telling_of(config: Config, given: bytes, warnings: Sequence[str]) -> Telling:
    """Return how a run is told of.

    Args:
        config: The options.
        given: What was read from standard input.
        warnings: What there is to say of them.

    Raises:
        DataError: A file of data or metadata cannot be read.
    """
    data = given_data(config, BytesIO(given))
    metadata = given_metadata(config)
    return Telling(
        options=options_of(
            config,
            cpus=config.cpus or _available_cores(),
            data=_as_json(data.text) if data.text else None if data.binary else config.data,
            metadata=_as_json(metadata) if isinstance(metadata, str) else config.metadata,
        ),
        tags=config.tags,
        skip_first=config.skip_first,
        count_errors=config.count_errors,
        warnings=warnings,
    )


def telling_of_scenario(scenario: Scenario) -> Telling:
    """Return how the run of a scenario is told of.

    Its report has those of its options that ghz has a place for, and all of them elsewhere.
    """
    config = scenario.config
    return Telling(
        options=options_of(
            config, cpus=config.cpus or _available_cores(), metadata=config.metadata
        ),
        scenario=to_told(scenario),
        tags=config.tags,
        skip_first=config.skip_first,
        count_errors=config.count_errors,
        warnings=scenario.warnings,
    )


def run(
    job: Job,
    telling: Telling,
    *,
    cancel: threading.Event,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Do a job, and return its report.

    Args:
        job: What is done.
        telling: How it is told of.
        cancel: Ends it early, once set.
        on_progress: Is told how it goes, a few times a second.

    Raises:
        TargetError: The server cannot be reached.
    """
    recording = Recording(job, telling.skip_first, count_errors=telling.count_errors)
    due = time.monotonic()
    for told in generate(job, cancel=cancel):
        recording.add(told)
        if on_progress and time.monotonic() >= due:
            on_progress(recording.progress())
            due = time.monotonic() + _PROGRESS_EVERY
    return build_report(
        recording.result(),
        job,
        options=telling.options,
        scenario=telling.scenario,
        tags=telling.tags,
        warnings=telling.warnings,
    )


def processes_for(config: Config, pace: Pace, asked: int = 0) -> int:
    """Return how many processes generate a load: one for each core, connection and worker.

    Args:
        config: Says how many cores and connections there are.
        pace: Says how many workers there are at most.
        asked: How many there shall be; 0: as many as can be.

    Raises:
        ConfigError: More are asked for than there are connections.
    """
    if asked > config.connections:
        raise ConfigError(
            f"processes: each needs a connection of its own, and connections is"
            f" {config.connections} for {asked} of them"
        )
    available = _available_cores()
    cores = asked or min(config.cpus or available, available)
    return min(cores, config.connections, _most_workers(pace))


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _most_workers(pace: Pace) -> int:
    if pace.workers.shape is Shape.STAGES:
        return max(1, int(max(stage.target for stage in pace.workers.stages)))
    stairs = islice(staircase(pace.workers), _MANY_STAIRS)
    return max(1, int(max(stair.value for stair in stairs)))


def _as_json(text: str) -> Any:  # noqa: ANN401
    """Return what a text says as JSON; None if only a template makes JSON of it, as with ghz."""
    try:
        return parse_json(text)
    except ConfigError:
        return None
