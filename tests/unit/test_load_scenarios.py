"""What scenarios say, and how they are refused."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.engine.schedules import schedule_of, staircase
from load.errors import ConfigError
from load.jobs import Ramp, Shape, Stage
from load.scenarios.printing import to_document
from load.scenarios.reading import read_scenario

CONFIGS = Path(__file__).parents[2] / "load" / "configs"
SCENARIO = """
host = "localhost:1"
insecure = true
timeout = "5s"
duration = "10s"
metadata = { tenant = "t1", shard = "1" }
stubs = "shop.orders_pb2"

[users]
count = 3
pause = ["100ms", "300ms"]

[rows.shops]
file = "shops.csv"
first = 9
[rows.some]
of = "shops"
first = 2

[[calls]]
call = "shop.v1.Orders/List"
weight = 3
rows = "some"
metadata = { shard = "2" }
[[calls]]
call = "shop.v1.Orders/Watch"
proto = "orders.proto"
timeout = "1s"
order = "random"
rows = "shops"
data = [{ id = 1 }, { id = 2 }]
"""


def document(**changes: Any) -> dict[str, Any]:
    """Return the scenario, its keys with other values; None: without them."""
    merged = tomllib.loads(SCENARIO) | changes
    return {key: value for key, value in merged.items() if value is not None}


def read(folder: Path, content: dict[str, Any], **flags: Any) -> Any:
    """Return what a file of this content says."""
    path = folder / "scenario.json"
    path.write_text(json.dumps(content))
    return read_scenario(str(path), flags, rows={}, warm_up=None)


def test_scenario_is_shared_options_and_calls_with_their_own(tmp_path: Path) -> None:
    """A call has the options of the scenario and its own; paths are those of the file's folder."""
    scenario = read(tmp_path, document(), host="other:2", duration=3_000_000_000)
    first, second = (call.config for call in scenario.calls)
    assert scenario.config.host == "other:2"
    assert (scenario.pace.duration, scenario.pace.stop.value) == (3, "wait")
    assert (scenario.pace.workers.start, scenario.pace.pause) == (3, (0.1, 0.3))
    assert first.metadata == {"tenant": "t1", "shard": "2"}
    assert (first.stubs, first.timeout) == ("shop.orders_pb2", 5_000_000_000)
    # Where it is defined itself, the stubs of the others are not looked into.
    assert (second.stubs, second.proto) == ("", str(tmp_path / "orders.proto"))
    assert (second.timeout, second.data) == (1_000_000_000, [{"id": 1}, {"id": 2}])
    assert scenario.rows["shops"].file == str(tmp_path / "shops.csv")


def test_flags_name_other_rows_and_another_warm_up(tmp_path: Path) -> None:
    """Their paths are those of the current folder."""
    path = tmp_path / "s.toml"
    path.write_text(SCENARIO)
    scenario = read_scenario(str(path), {}, rows={"shops": "others.csv"}, warm_up="2s")
    assert (scenario.rows["shops"].file, scenario.pace.warm_up) == ("others.csv", 2)
    for rows, message in (
        ({"some": "x.csv"}, "rows: some has no file of its own, it is a part of shops"),
        ({"shop": "x.csv"}, "rows: the scenario has no rows 'shop'; there is shops, some"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_scenario(str(path), {}, rows=rows, warm_up=None)
    with pytest.raises(ConfigError, match=r"^warm-up: 'soon' is no duration"):
        read_scenario(str(path), {}, rows={}, warm_up="soon")


def _in(key: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda scenario: scenario[key].update(changes)


def _in_call(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda scenario: scenario["calls"][1].update(changes)


def _with(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda scenario: scenario.update(changes)


@pytest.mark.parametrize(
    "change,message",
    [
        (_with(thresholdz=[]), "thresholdz: there is no such key; did you mean 'thresholds'?"),
        (
            _with(duration=None, durtion="1s"),
            "durtion: there is no such key; did you mean 'duration'?",
        ),
        (
            _with(users={"stages": [{"duraton": "1s", "target": 1}]}),
            "users.stages[0].duraton: there is no such key; did you mean 'duration'?",
        ),
        (_in_call(call=None, cal="a.B/C"), "calls[1].cal: there is no such key; did you mean"),
        (_in("rows", more={"fil": "a.csv"}), "rows.more.fil: there is no such key; did you mean"),
        (_with(concurrency=3), "concurrency: there is no such key; "),
        (_in("users", paus="1s"), "users.paus: there is no such key; did you mean 'pause'?"),
        (_in_call(wieght=1), "calls[1].wieght: there is no such key; did you mean 'weight'?"),
        (_with(timeout="5"), "timeout: '5' has no unit"),
        (_in("users", pause="-1s"), "users.pause: must not be negative"),
        (_in("users", pause=["2s", "1s"]), "users.pause: must not be from 2s down to 1s"),
        (_in("users", every="1s"), "users: pause and every exclude each other"),
        (_in("users", count=0), "users.count: must be a whole number of at least 1, and is 0"),
        (_in("users", stages=[{"duration": "1s", "target": 1}]), "users: say how many by one of"),
        (_with(rate={"per-second": 1}), "say when calls are made by one of [users] and [rate]"),
        (_with(users={"stages": [{"target": 1}]}), "users.stages[0].duration: is missing: "),
        (
            _with(users={"stages": [{"duration": "1s", "target": 0.5}]}),
            "users.stages[0].target: must be a whole number, and is 0.5",
        ),
        (_with(duration="0s"), "duration: is missing: for how long"),
        (_with(host=""), "host: is missing: which server"),
        (_with(connections=4), "connections: must be at most the concurrency"),
        (_with(calls=[]), "calls: is missing: say by [[calls]]"),
        (_with(calls={}), "calls: must be an array of tables"),
        (_in_call(call="Watch"), "calls[1]: call: 'Watch' is not like package.Service/Method"),
        (_in_call(rows="shop"), "calls[1].rows: there are no rows 'shop'; there is shops, some"),
        (_in_call(order="any"), "calls[1].order: must be one of in turn, random, and is 'any'"),
        (_in_call(weight=0), "calls[1].weight: must be more than 0"),
        (_in_call(**{"data-file": "x"}), "calls[1]: data and data-file exclude each other"),
        (_in("rows", more={"of": "less"}), "rows.more.of: there are no rows 'less' above it"),
        (_in("rows", more={"file": "m.csv"}), "rows.more: no call has them"),
        (_in("rows", more={}), "rows.more: say by one of file and of"),
    ],
)
def test_what_is_wrong_is_told_by_file_and_key(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """A scenario that cannot be run is refused, before anything that it names is opened."""
    content = document()
    change(content)
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, content)
    assert str(refused.value).startswith(f"{tmp_path / 'scenario.json'}: {message}")


def test_flags_of_what_a_scenario_says_in_its_own_way_are_refused(tmp_path: Path) -> None:
    """They would have no effect."""
    with pytest.raises(ConfigError, match=r"^concurrency: the scenario says that"):
        read(tmp_path, document(), concurrency=3)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_scenarios_that_ship_are_read_and_printed(path: Path, tmp_path: Path) -> None:
    """What is printed of a scenario is one, and the same."""
    printed = to_document(read_scenario(str(path), {}, rows={}, warm_up=None))
    assert to_document(read(tmp_path, printed)) == printed
    assert printed["thresholds"]


STAGES = st.lists(
    st.builds(Stage, duration=st.sampled_from([0, 0.05, 1, 2.5]), target=st.integers(0, 200)),
    min_size=1,
    max_size=5,
)


@given(STAGES)
def test_stages_go_straight_from_target_to_target(stages: list[Stage]) -> None:
    """After each stage as many calls were due as the area below the line, and it ends there."""
    ramp = Ramp(shape=Shape.STAGES, stages=stages)
    schedule = schedule_of(ramp)
    assert schedule is not None
    at, last, area = 0.0, 0.0, 0.0
    for stage in stages:
        area += (last + stage.target) / 2 * stage.duration
        at, last = at + stage.duration, stage.target
        assert schedule.before(at) == pytest.approx(area, abs=1)
    stairs = list(staircase(ramp))
    assert stairs[-1].at == pytest.approx(at)
    assert stairs[-1].value == last
    assert [stair.at for stair in stairs] == sorted(stair.at for stair in stairs)
    assert all(0 <= stair.value <= 200 for stair in stairs)
