"""Scenarios from files: what they say, and what flags say instead."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from load.config.checks import check, warnings_of
from load.config.files import plain, read_document
from load.config.model import Config
from load.config.options import Kind, Option
from load.config.pacing import pace_of
from load.config.values import from_file
from load.data.choosing import Order
from load.errors import ConfigError
from load.jobs import Pace
from load.scenarios.model import Rows, Scenario, ScenarioCall
from load.scenarios.options import BY_FIELD, OF_CALLS, OF_REPORTS, ORIGINS, SHARED
from load.scenarios.pacing import Rhythm, read_rhythm
from load.scenarios.tables import Table, count, duration, positive, text, texts
from load.targets.methods import parse_call

_OWN: Final = ("users", "rate", "warm-up", "rows", "calls", "thresholds", "trailers")
"""The keys of scenarios that are no options of ghz."""


def read_scenario(
    path: str,
    flags: Mapping[str, Any],
    *,
    rows: Mapping[str, str],
    warm_up: str | None,
) -> Scenario:
    """Return what a scenario says, with what flags say instead; nothing that it names is opened.

    Paths in it are relative to its folder, those of flags to the current one.

    Args:
        path: Of the file: TOML, JSON or YAML.
        flags: The options that somebody has set, by the field of `Config`.
        rows: Files of rows, by their name, instead of those that the scenario names.
        warm_up: How long the warm-up is; None: as long as the scenario says.

    Raises:
        ConfigError: It cannot be read, or is not as it has to be; the text names file and key.
    """
    for field in flags:
        if field not in (*SHARED, *OF_REPORTS):
            key = BY_FIELD[field].key
            raise ConfigError(f"{key}: the scenario says that, in its own way: leave out the flag")
    document = Table(read_document(path, "scenario")[1], path)
    document.allow(*_keys(SHARED), *_OWN)
    folder = Path(path).parent
    said = _options(document, SHARED, folder)
    rhythm = read_rhythm(document)
    config, pace = _resolve({**said, **flags}, rhythm, document)
    warming = document.take("warm-up", duration, 0.0)
    given = Table({"warm-up": warm_up}, "") if warm_up is not None else None
    pace = replace(pace, warm_up=given.take("warm-up", duration, 0.0) if given else warming)
    scenario = Scenario(
        config=config,
        pace=pace,
        rows=_rows(document, folder, rows),
        calls=[_call(table, config, folder) for table in document.sequence("calls")],
        thresholds=document.take("thresholds", texts, ()),
        trailers=[name.lower() for name in document.take("trailers", texts, ())],
        # `max-duration` is how options say that both a time and a number end a run.
        warnings=list(warnings_of(msgspec.structs.replace(config, max_duration=0))),
    )
    _check_names(scenario, document)
    return scenario


def _keys(fields: Sequence[str]) -> Sequence[str]:
    return [BY_FIELD[field].key for field in fields]


def _options(table: Table, fields: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return those of some options that a table has, by the field of `Config`."""
    said = {}
    for field in fields:
        option = BY_FIELD[field]
        value = table.take(option.key, partial(_value, option), None)
        if value is not None:
            said[field] = _from_folder(option, value, folder)
    return said


def _value(option: Option, value: object) -> Any:  # noqa: ANN401
    return from_file(option, plain(value))


def _from_folder(option: Option, value: Any, folder: Path) -> Any:  # noqa: ANN401
    """Return the value of an option, a path of it relative to the current folder."""
    if option.kind is Kind.PATH and value:
        return str(folder / value)
    if option.field == "import_paths":
        return tuple(str(folder / path) for path in value)
    return value


def _resolve(said: Mapping[str, Any], rhythm: Rhythm, document: Table) -> tuple[Config, Pace]:
    """Return the options of a scenario, and when its calls are made."""
    options = {"duration_stop": "wait", **said}
    if "duration" not in said and "total" not in said and rhythm.seconds:
        options["duration"] = round(rhythm.seconds * 1e9)
    time = options.get("duration", 0)
    if not time and "total" not in said:
        raise document.wrong("duration", "is missing: for how long calls are made, such as 20s")
    if time and "total" in said:
        options |= {"max_duration": time, "duration": 0}
    # As with ghz, no connections are the usual number of them.
    options["connections"] = options.get("connections") or 1
    config = Config(**options, concurrency=rhythm.most_workers)
    try:
        check(config)
    except ConfigError as error:
        raise document.wrong("", str(error)) from None
    if not config.host.strip():
        raise document.wrong("host", "is missing: which server, as host:port")
    pace = replace(
        pace_of(config),
        workers=rhythm.workers,
        rate=rhythm.rate,
        pause=rhythm.pause,
        every=rhythm.every,
    )
    return config, pace


def _rows(document: Table, folder: Path, given: Mapping[str, str]) -> Mapping[str, Rows]:
    """Return the rows by name, in an order in which each comes after those that it is of."""
    rows: dict[str, Rows] = {}
    tables = document.tables("rows")
    for name, table in tables.items():
        table.allow("file", "of", "first")
        file = table.take("file", text, "")
        of = table.take("of", text, "")
        if of and of not in rows:
            raise table.wrong("of", f"there are no rows {of!r} above it")
        if bool(file) == bool(of):
            raise table.wrong("", "say by one of file and of where the rows come from")
        if name in given and of:
            raise ConfigError(f"rows: {name} has no file of its own, it is a part of {of}")
        path = given.get(name) or (str(folder / file) if file else "")
        rows[name] = Rows(path, of, table.take("first", count, None))
    for name in given:
        if name not in rows:
            raise ConfigError(f"rows: the scenario has no rows {name!r}; there is {_list(rows)}")
    return rows


def _call(table: Table, shared: Config, folder: Path) -> ScenarioCall:
    table.allow(*_keys(OF_CALLS), "weight", "rows", "order")
    said = _options(table, OF_CALLS, folder)
    table.demand("call", text, "which method, as package.Service/Method")
    try:
        parse_call(said["call"])
    except ConfigError as error:
        raise table.wrong("", str(error)) from None
    if "data" in said and "data_file" in said:
        raise table.wrong("", "data and data-file exclude each other")
    # Where one says where its method is defined, what holds for the others does not for it.
    unsaid = dict.fromkeys(ORIGINS, "") if any(key in said for key in ORIGINS) else {}
    metadata = {**(shared.metadata or {}), **said.pop("metadata", {})}
    return ScenarioCall(
        config=msgspec.structs.replace(shared, **(unsaid | said), metadata=metadata or None),
        weight=table.take("weight", positive, 1.0),
        rows=table.take("rows", text, ""),
        order=table.take("order", _order, Order.IN_TURN),
    )


def _order(value: object) -> Order:
    words = [order.value for order in Order]
    if value not in words:
        raise ConfigError(f"must be one of {', '.join(words)}, and is {value!r}")
    return Order(value)


def _check_names(scenario: Scenario, document: Table) -> None:
    if not scenario.calls:
        raise document.wrong("calls", "is missing: say by [[calls]] which methods are called")
    for index, call in enumerate(scenario.calls):
        if call.rows and call.rows not in scenario.rows:
            raise document.wrong(
                f"calls[{index}].rows",
                f"there are no rows {call.rows!r}; there is {_list(scenario.rows)}",
            )
    used = {call.rows for call in scenario.calls} | {rows.of for rows in scenario.rows.values()}
    for name in scenario.rows:
        if name not in used:
            raise document.wrong(f"rows.{name}", "no call has them")


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(names) or "none"
