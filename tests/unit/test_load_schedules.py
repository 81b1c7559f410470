"""When calls are meant to begin, how many workers there are, and which call comes when."""

import math
import multiprocessing
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.engine.mixes import Mix
from load.engine.numbering import NONE_LEFT, Numbers
from load.engine.schedules import NEVER, Schedule, schedule_of, staircase
from load.errors import ConfigError
from load.jobs import Ramp, Shape

_RATES = st.integers(0, 5000)
_SECONDS = st.sampled_from([0.5, 1.0, 2.0, 5.0])


@st.composite
def ramps(draw: st.DrawFn) -> Ramp:
    """Return a ramp that leads to its end, if it has one."""
    shape = draw(st.sampled_from(Shape))
    start, end = draw(_RATES), draw(_RATES)
    step = draw(st.integers(1, 500)) * (-1 if 0 < end < start else 1)
    seconds = draw(st.just(0.0) | _SECONDS)
    return Ramp(shape, start, end, step, step_duration=draw(_SECONDS), max_duration=seconds)


def scheduled(ramp: Ramp) -> Schedule:
    """Return its schedule, which it has."""
    schedule = schedule_of(ramp)
    assert schedule is not None
    return schedule


@given(ramps().filter(lambda ramp: ramp.shape is not Shape.CONST or ramp.start), st.data())
def test_calls_come_one_after_the_other(ramp: Ramp, data: st.DataObject) -> None:
    """Later calls are due later, and as many are due before a moment as are counted before it."""
    schedule = scheduled(ramp)
    moment = data.draw(st.floats(0, 20))
    count = schedule.before(moment)
    assert schedule.due(count) >= moment
    assert count == 0 or schedule.due(count - 1) < moment
    index = data.draw(st.integers(0, max(count, 100)))
    earlier, later = schedule.due(index), schedule.due(index + 1)
    assert earlier < later or earlier == later == NEVER


@given(ramps().filter(lambda ramp: ramp.shape is not Shape.CONST), st.floats(0, 20))
def test_as_many_calls_as_the_rate_adds_up_to(ramp: Ramp, moment: float) -> None:
    """Before a moment, as many calls are due as the area under the stairs says."""
    stairs = list(islice(staircase(ramp), 50))
    area = sum(
        (min(then, moment) - at) * rate
        for (at, rate), (then, _) in pairwise([*stairs, (math.inf, 0.0)])
        if at < moment
    )
    assert scheduled(ramp).before(moment) == pytest.approx(area, abs=1.000001, rel=1e-9)


@pytest.mark.parametrize(
    "ramp, dues",
    [
        (Ramp(start=4), {0: 0.25, 7: 2}),
        # As ghz's own tests have it, of a rate that grows by one in each second.
        (Ramp(Shape.LINE, start=1, step=1), {0: 1, 1: 1.5, 2: 2, 5: 3}),
        (Ramp(Shape.LINE, start=5, step=1), {0: 0.2, 5: 1 + 1 / 6, 11: 2 + 1 / 7, 12: 2 + 2 / 7}),
        (Ramp(Shape.LINE, start=20, step=-1), {0: 0.05, 19: 1, 20: 1 + 1 / 19}),
        (Ramp(Shape.LINE, start=1, step=1, end=5), {14: 5, 17: 5.6}),
        (Ramp(Shape.LINE, start=1, step=1, max_duration=5), {14: 5, 18: 5 + 4 / 6}),
        (Ramp(Shape.STEP, start=10, step=10, step_duration=2, end=20), {19: 2, 59: 4, 79: 5}),
        # What makes ghz crash: nothing is due in the first step.
        (Ramp(Shape.STEP, start=0, step=10, step_duration=2, end=20), {0: 2.1, 19: 4, 39: 5}),
        # And what makes it call as fast as it can: the rate has come to nothing.
        (Ramp(Shape.STEP, start=10, step=-5, step_duration=1), {9: 1, 14: 2, 15: NEVER}),
        (Ramp(Shape.LINE, start=2, step=-4, max_duration=3), {1: 1, 2: NEVER}),
    ],
)
def test_calls_are_due_as_in_ghz(ramp: Ramp, dues: dict[int, float]) -> None:
    """The k-th call is due when the rate has added up to k + 1."""
    schedule = scheduled(ramp)
    assert {index: schedule.due(index) for index in dues} == pytest.approx(dues)


@pytest.mark.parametrize(
    "ramp, stairs",
    [
        (Ramp(start=7), [(0, 7)]),
        (Ramp(Shape.LINE, start=5, step=2, end=9), [(0, 5), (1, 7), (2, 9)]),
        # There are never more than in the end.
        (Ramp(Shape.STEP, start=5, step=10, step_duration=3, end=10), [(0, 5), (3, 10)]),
        (Ramp(Shape.STEP, start=10, step=-4, step_duration=3), [(0, 10), (3, 6), (6, 2), (9, 0)]),
        (
            Ramp(Shape.STEP, start=1, step=1, step_duration=0.1, max_duration=0.3),
            [(0, 1), (0.1, 2), (0.2, 3), (0.3, 4)],
        ),
        (
            Ramp(Shape.STEP, start=5, step=5, step_duration=2, max_duration=5, end=50),
            [(0, 5), (2, 10), (4, 15), (5, 50)],
        ),
    ],
)
def test_workers_come_and_go(ramp: Ramp, stairs: list[tuple[float, float]]) -> None:
    """There are as many workers as steps were made, and in the end as many as were asked for."""
    assert [*staircase(ramp)] == [pytest.approx(stair) for stair in stairs]


def test_stairs_without_an_end_are_endless() -> None:
    """Without an end and a time, a number grows for ever."""
    ramp = Ramp(Shape.LINE, start=1, step=3)
    assert [stair.value for stair in islice(staircase(ramp), 1000)] == [*range(1, 3000, 3)]


@pytest.mark.parametrize(
    "ramp, word",
    [
        (Ramp(Shape.STEP, start=1, step=1, end=9, step_duration=0), "duration"),
        (Ramp(Shape.LINE, start=10, step=1, end=5), "away"),
        (Ramp(Shape.STEP, start=5, step=-1, end=10), "away"),
    ],
)
def test_stairs_that_lead_nowhere_are_refused(ramp: Ramp, word: str) -> None:
    """Steps that take no time, or lead away from the end, are told at once."""
    with pytest.raises(ConfigError, match=word):
        schedule_of(ramp)


def test_a_rate_of_nothing_is_no_schedule() -> None:
    """Without a rate, calls begin as they can."""
    assert schedule_of(Ramp()) is None


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_each_call_has_its_exact_share(weights: list[int]) -> None:
    """In as many calls as the weights add up to, each comes as often as its weight says."""
    mix = Mix(weights)
    total = sum(weights)
    chosen = [mix.choose(number) for number in range(3 * total)]
    assert [chosen.count(call) for call in range(len(weights))] == [3 * w for w in weights]


def test_the_order_of_calls_is_not_that_of_data() -> None:
    """A call does not fall on the same rows again and again, and comes the same in each run."""
    mix, again = Mix([60, 20, 10, 10]), Mix([0.6, 0.2, 0.1, 0.1])
    chosen = [mix.choose(number) for number in range(10_000)]
    assert chosen == [again.choose(number) for number in range(10_000)]
    rows = {number % 100 for number, call in enumerate(chosen) if call == 3}
    assert len(rows) == 100


def test_numbers_are_taken_once() -> None:
    """Numbers come in order up to the limit; all that are left can be taken at once."""
    numbers = Numbers(multiprocessing.get_context("spawn"), 10)
    assert [numbers.take() for _ in range(4)] == [0, 1, 2, 3]
    assert numbers.take_below(7) == 3
    assert numbers.take_below(7) == 0
    assert numbers.take() == 7
    assert numbers.take_below(1000) == 2
    assert numbers.take() == NONE_LEFT
