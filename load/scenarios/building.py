"""From a scenario to what is to be done."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from load.calls import Call, Stream
from load.config.pacing import seconds
from load.data.inputs import given_data
from load.data.making import read_json
from load.data.rows import Row, read_rows
from load.data.sources import source_of_call
from load.errors import ConfigError, DataError, LoadError, TargetError
from load.jobs import Job
from load.scenarios.model import Rows, Scenario, ScenarioCall
from load.targets.connecting import target_of
from load.targets.methods import find_method


def job_of(scenario: Scenario) -> Job:
    """Return what is to be done, by one process: files are read, methods found, messages made.

    Raises:
        LoadError: The server cannot be asked, there is no such method, a file cannot be read, or
            the data makes no message of a method; the text says of which call.
    """
    target = target_of(scenario.config)
    rows = _read_all(scenario.rows)
    calls = []
    for index, each in enumerate(scenario.calls):
        with _naming(f"calls[{index}] ({each.config.call})"):
            method = find_method(each.config, target)
            calls.append(
                Call(
                    method=method,
                    source=source_of_call(
                        method,
                        _data(each),
                        each.config.metadata or {},
                        rows=rows[each.rows] if each.rows else None,
                        order=each.order,
                        count=each.config.stream_call_count,
                    ),
                    weight=each.weight,
                    timeout=seconds(each.config.timeout),
                    stream=Stream(
                        interval=seconds(each.config.stream_interval),
                        duration=seconds(each.config.stream_call_duration),
                        count=each.config.stream_call_count,
                    ),
                )
            )
    return Job(
        target=target,
        calls=calls,
        pace=scenario.pace,
        name=scenario.config.name,
        connections=scenario.config.connections,
        trailers=scenario.trailers,
    )


def _read_all(rows: Mapping[str, Rows]) -> Mapping[str, Sequence[Row]]:
    read: dict[str, Sequence[Row]] = {}
    for name, each in rows.items():
        with _naming(f"rows.{name}"):
            found = read[each.of] if each.of else read_rows(Path(each.file))
            if each.first is not None and each.first > len(found):
                raise DataError(f"first: there are no {each.first} rows, but {len(found)}")
            read[name] = found[: each.first]
    return read


def _data(call: ScenarioCall) -> object:
    given = given_data(call.config, BytesIO())
    if not given.text:
        return given.value
    with _naming(given.where):
        return read_json(given.text)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Put before errors where they are."""
    try:
        yield
    except (ConfigError, DataError, TargetError) as error:
        kind: type[LoadError] = type(error)
        raise kind(f"{where}: {error}") from None
