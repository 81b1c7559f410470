"""A scenario as a file says it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from load.config.durations import format_duration
from load.config.options import OPTIONS, Kind
from load.config.pacing import call_limit, time_limit
from load.config.printing import to_file
from load.data.choosing import Order
from load.jobs import Pace, Ramp, Shape
from load.scenarios.model import Rows, Scenario, ScenarioCall
from load.scenarios.options import BY_FIELD, OF_CALLS, SHARED

_NANOSECONDS = 1_000_000_000
_UNTOLD: Final = frozenset(
    {
        "file",
        *(option.key for option in OPTIONS if option.kind in (Kind.DATA, Kind.PATH)),
        *(BY_FIELD[field].key for field in ("metadata", "reflect_metadata", "import_paths")),
    }
)
"""What may be secret, or is another one elsewhere."""


def to_document(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario by the keys of its file, of the types that JSON has.

    Paths are relative to the current folder: read from a file in it, it is the same scenario.
    """
    pace = scenario.pace
    users = pace.rate == Ramp()
    return {
        **_options(scenario),
        "warm-up": _duration(pace.warm_up),
        **({"users": _users(pace)} if users else {"rate": _rate(pace)}),
        "rows": {name: _rows(each) for name, each in scenario.rows.items()},
        "calls": [_call(each, scenario) for each in scenario.calls],
        "trailers": [*scenario.trailers],
        "thresholds": [*scenario.thresholds],
    }


def to_told(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as reports tell of it: without data, metadata and the paths of files."""
    document = to_document(scenario)
    return {
        **_told(document),
        "rows": {name: _told(rows) for name, rows in document["rows"].items()},
        "calls": [_told(call) for call in document["calls"]],
    }


def _told(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in _UNTOLD}


def _options(scenario: Scenario) -> dict[str, Any]:
    config = msgspec.structs.replace(scenario.config, duration=time_limit(scenario.config))
    said = to_file(config)
    if call_limit(scenario.config) is None:
        del said["total"]
    if not config.duration:
        del said["duration"]
    keys = [BY_FIELD[field].key for field in SHARED]
    return {key: said[key] for key in keys if key in said}


def _users(pace: Pace) -> dict[str, Any]:
    told = _ramp(pace.workers, "count")
    if pace.pause is not None:
        told["pause"] = [_duration(seconds) for seconds in pace.pause]
    if pace.every is not None:
        told["every"] = _duration(pace.every)
    return told


def _rate(pace: Pace) -> dict[str, Any]:
    return {**_ramp(pace.rate, "per-second"), "workers": int(pace.workers.start)}


def _ramp(ramp: Ramp, constant: str) -> dict[str, Any]:
    if ramp.shape is not Shape.STAGES:
        return {constant: ramp.start}
    stages: Sequence[dict[str, Any]] = [
        {"duration": _duration(stage.duration), "target": stage.target} for stage in ramp.stages
    ]
    return {"stages": stages}


def _rows(rows: Rows) -> dict[str, Any]:
    told = {"file": rows.file, "of": rows.of, "first": rows.first}
    return {key: value for key, value in told.items() if value}


def _call(call: ScenarioCall, scenario: Scenario) -> dict[str, Any]:
    said = to_file(call.config)
    own = [
        BY_FIELD[field].key
        for field in OF_CALLS
        if getattr(call.config, field) != getattr(scenario.config, field)
    ]
    told = {key: said[key] for key in own if key in said} | {"weight": call.weight}
    return told | ({"rows": call.rows} if call.rows else {}) | _order(call.order)


def _order(order: Order) -> dict[str, Any]:
    return {} if order is Order.IN_TURN else {"order": order.value}


def _duration(seconds: float) -> str:
    return format_duration(round(seconds * _NANOSECONDS))
