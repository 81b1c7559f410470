"""The rollout file."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flags.rollout.plan import BurnWindow, Criteria, Phase, Plan, PlanError, Query, load_plan
from tests.support.rollouts import PLAN, PLAN_FILE

SHIPPED: Final[dict[str, Any]] = yaml.safe_load(PLAN_FILE.read_text())


def write(folder: Path, plan: object) -> Path:
    """Return a rollout file."""
    file = folder / "plan.yaml"
    file.write_text(yaml.safe_dump(plan))
    return file


def changed(keys: str, value: object) -> dict[str, Any]:
    """Return the content with another value for a key; None: without it."""
    plan = deepcopy(SHIPPED)
    *parents, last = [int(key) if key.isdigit() else key for key in keys.split(".")]
    part: Any = plan
    for key in parents:
        part = part[key]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return plan


def test_the_file_that_ships() -> None:
    """Its figures are those that the customer asks for."""
    assert PLAN.flag == "customer-analytics"
    assert PLAN.phases == (Phase(10, 172_800), Phase(50, 86_400), Phase(100, 86_400))
    assert (PLAN.look_every, PLAN.confidence) == (900, 0.95)
    assert PLAN.criteria == Criteria(0.001, 0.95, 2, 1.25, 3, 3.5, 30)
    assert (PLAN.breaker.look_every, PLAN.breaker.least_errors) == (30, 10)
    assert PLAN.breaker.windows == (BurnWindow(14.4, 300, 3600), BurnWindow(6, 1800, 21_600))
    assert list(PLAN.queries) == list(Query)


@pytest.mark.parametrize("query", Query)
def test_only_the_services_own_servers_are_asked_about(query: Query) -> None:
    """Every selector of the file that ships names the job, as the alerts do."""
    text = PLAN.queries[query]
    selectors = re.findall(r"(?:grpc_server|patron)_\w+(\{[^}]*\})?", text)
    assert all(re.search(r'[{ ]job="patron",', selector) for selector in selectors), text


@pytest.mark.parametrize(
    "duration, seconds",
    [
        ("48h", 172_800),
        ("15m", 900),
        ("30s", 30),
        ("1.5s", 1.5),
        ("1h30m", 5400),
        (2, 2),
        (0.5, 0.5),
    ],
)
def test_durations(tmp_path: Path, duration: object, seconds: float) -> None:
    """Hours, minutes and seconds, together too, or a number of seconds."""
    plan = load_plan(write(tmp_path, changed("look_every", duration)))
    assert plan.look_every == seconds


@pytest.mark.parametrize(
    "duration", ["", "x", "h", "5", "5 m", "-5m", "1m1h", "0s", 0, -1, True, [1]]
)
def test_what_is_no_duration(tmp_path: Path, duration: object) -> None:
    """Anything else is refused, and so is no time at all."""
    with pytest.raises(PlanError, match=r"phases\[0\].at_least: Expected a duration"):
        load_plan(write(tmp_path, changed("phases.0.at_least", duration)))


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("flag", None, "flag: is missing"),
        ("flag", "a/b", "flag: "),
        ("flags", "x", "flags: is not known"),
        ("phases", [], "phases: "),
        ("phases.0.percent", 0, "phases[0].percent: "),
        ("phases.2.percent", 101, "phases[2].percent: "),
        ("phases.1.percent", 10, "phases[1].percent: must be over 10"),
        ("phases.1.percent", "50", "phases[1].percent: Expected `int`"),
        ("phases.1.at_least", None, "phases[1].at_least: is missing"),
        ("confidence", 0.5, "confidence: "),
        ("confidence", 1, "confidence: "),
        ("confidence", float("nan"), "confidence: "),
        ("criteria.error_rate", 0, "criteria.error_rate: "),
        ("criteria.slow.quantile", 95, "criteria.slow.quantile: "),
        ("criteria.slow.seconds", 0, "criteria.slow.seconds: "),
        ("criteria.max_ratio", 1, "criteria.max_ratio: "),
        ("criteria.max_ratio", float("inf"), "criteria.max_ratio: "),
        ("criteria.new_error_merchants", 0, "criteria.new_error_merchants: "),
        ("criteria.rating.mean", 5.5, "criteria.rating.mean: "),
        ("criteria.rating.of_at_least", None, "criteria.rating.of_at_least: is missing"),
        ("criteria.speed", 1, "criteria.speed: is not known"),
        ("breaker.windows", [], "breaker.windows: "),
        ("breaker.windows.1.short", "6h", "breaker.windows[1].short: must be shorter"),
        ("breaker.windows.0.burn", 0, "breaker.windows[0].burn: "),
        ("breaker.least_errors", 0, "breaker.least_errors: "),
        ("queries.ratings", None, "queries.ratings: is missing"),
        ("queries.ratings", "up", "queries.ratings: must ask for $window"),
        ("queries.more", "up[$window]", "queries.more: is not known"),
    ],
)
def test_the_message_names_the_key(tmp_path: Path, key: str, value: object, message: str) -> None:
    """What makes no sense is refused with the file and the key."""
    file = write(tmp_path, changed(key, value))

    with pytest.raises(PlanError) as error:
        load_plan(file)
    assert str(error.value).startswith(f"{file}: {message}")


@pytest.mark.parametrize("text", [b"", b"[1]", b"a: [", b"\x00", b"\xff\xfe"])
def test_what_is_no_plan_at_all(tmp_path: Path, text: bytes) -> None:
    """A file that is no mapping, no YAML or no text is refused with its name."""
    file = tmp_path / "plan.yaml"
    file.write_bytes(text)

    with pytest.raises(PlanError, match=r"plan\.yaml"):
        load_plan(file)
    with pytest.raises(PlanError, match=r"gone\.yaml"):
        load_plan(tmp_path / "gone.yaml")


def test_a_last_phase_may_be_short_of_everybody(tmp_path: Path) -> None:
    """A rollout may end at any share."""
    plan = load_plan(write(tmp_path, changed("phases", [{"percent": 25, "at_least": "1h"}])))
    assert plan.phases == (Phase(25, 3600),)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=9), values, max_size=3)
    ),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    [
        "flag",
        "phases",
        "phases.0",
        "phases.1.percent",
        "look_every",
        "confidence",
        "criteria",
        "criteria.slow",
        "criteria.rating.mean",
        "breaker.windows",
        "breaker.windows.0.long",
        "queries",
        "queries.ratings",
    ]
)


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(key=_KEYS, value=_VALUES)
def test_nothing_else_is_raised(tmp_path: Path, key: str, value: object) -> None:
    """Whatever stands for a key: it is a plan, or is refused with that key."""
    file = write(tmp_path, changed(key, value))
    try:
        plan = load_plan(file)
    except PlanError as error:
        named = str(error).startswith(f"{file}: {key.partition('.')[0]}")
    else:
        named = isinstance(plan, Plan)
    assert named
