"""How a rollout moves from phase to phase."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flags.rollout.evidence import Span
from flags.rollout.phases import (
    Move,
    MoveRefused,
    advance,
    block,
    follow,
    pause,
    phase_of,
    resume,
    roll_back,
    stand_back,
    start,
    time_left,
    trip,
    unblock,
)
from flags.rollout.plan import Phase
from flags.rollout.state import State, Status
from flags.rollout.verdict import Finding, Outcome, Reason, Verdict
from tests.support.rollouts import PLAN

DAY: Final = 86_400.0
PASS: Final = Verdict(Outcome.PASS, ())
HOLD: Final = Verdict(Outcome.HOLD, ())
FAIL: Final = Verdict(
    Outcome.FAIL,
    (
        Finding(
            criterion="error rate",
            outcome=Outcome.FAIL,
            reason=Reason.ABSOLUTE,
            value=0.01,
            low=0.005,
            high=0.02,
            limit=0.001,
            sample=1000,
            explanation="10 of 1,000 calls failed, 1 %: above 0.1 %, 95 % sure.",
        ),
    ),
)


def begun(found: int = 0) -> State:
    """Return a rollout that was just started, at 0 s."""
    return start(
        PLAN, None, found=found, at=0.0, actor="ann", reason="ready", known_kinds={"b", "a"}
    ).state


def moved(move: Move | None) -> State:
    """Return the state that a move leads to."""
    assert move is not None
    assert move.entry == move.state.history[-1]
    assert move.entry.percent == move.state.percent
    return move.state


def at_phase(phase: int) -> State:
    """Return a rollout in a phase that has just begun."""
    state = begun()
    for _ in range(phase):
        state = moved(follow(PLAN, state, PASS, at=state.phase_since + 3 * DAY))
    return state


def test_starts_with_the_first_phase() -> None:
    """Ten percent are let in, and the time is counted from now on."""
    state = begun()

    assert (state.status, state.phase, state.percent) == (Status.RUNNING, 0, 10)
    assert state.known_kinds == ("a", "b")
    assert time_left(PLAN, state, 3600.0) == 47 * 3600
    assert (state.history[0].action, state.history[0].actor) == ("start", "ann")


@pytest.mark.parametrize("found", [11, 100])
def test_does_not_take_a_feature_away_by_a_start(found: int) -> None:
    """Where a person lets in more than the first phase would, they are asked."""
    with pytest.raises(MoveRefused, match=f"{found} % already"):
        begun(found)


def test_starts_once() -> None:
    """What goes on already isn't begun anew."""
    with pytest.raises(MoveRefused, match="running at 10 % already"):
        start(PLAN, begun(), found=10, at=1.0, actor="bob", reason="", known_kinds=())


def test_starts_again_after_a_rollback() -> None:
    """It begins anew; the history goes on, and what was known stays known."""
    stopped = moved(follow(PLAN, at_phase(2), FAIL, at=10 * DAY))
    again = moved(
        start(PLAN, stopped, found=50, at=11 * DAY, actor="ann", reason="mended", known_kinds={"c"})
    )

    assert again.known_kinds == ("a", "b", "c")
    assert (again.percent, again.started_at, again.blocked) == (10, 11 * DAY, None)
    assert [entry.action for entry in again.history] == [
        "start",
        "promote",
        "promote",
        "roll back",
        "start",
    ]


def test_goes_on_by_itself_to_the_end() -> None:
    """Each phase lasts its least time, whatever the verdict; then the next one begins."""
    state, at, percents = begun(), 0.0, []
    for lasts in (2 * DAY, DAY, DAY):
        percents.append(state.percent)
        assert follow(PLAN, state, PASS, at=at + lasts - 1) is None
        assert follow(PLAN, state, HOLD, at=at + 100 * DAY) is None
        at += lasts
        state = moved(follow(PLAN, state, PASS, at=at))

    assert percents == [10, 50, 100]
    assert (state.status, state.percent) == (Status.COMPLETED, 100)
    assert state.history[-1].action == "complete"
    assert follow(PLAN, state, FAIL, at=at + 1) is None
    assert trip(PLAN, state, "burning", at=at + 1) is None


@pytest.mark.parametrize("phase, percent", [(0, 0), (1, 10), (2, 50)])
def test_falls_back_to_the_last_good_phase(phase: int, percent: int) -> None:
    """By a verdict at once, by the breaker and by a person alike; then nothing moves."""
    state = at_phase(phase)
    at = state.phase_since + 60
    by_verdict = follow(PLAN, state, FAIL, at=at)
    by_breaker = trip(PLAN, state, "14.4 times too fast", at=at)
    by_person = roll_back(PLAN, state, to=None, at=at, actor="ann", reason="looks bad")
    for move in (by_verdict, by_breaker, by_person):
        after = moved(move)
        assert move is not None
        assert (after.status, after.percent, move.percent) == (Status.STOPPED, percent, percent)
        assert follow(PLAN, after, PASS, at=at + 100 * DAY) is None
    assert by_verdict is not None
    assert by_verdict.entry.reason == (
        "error rate (absolute): 10 of 1,000 calls failed, 1 %: above 0.1 %, 95 % sure."
    )


def test_everybody_is_compared_with_the_phase_before() -> None:
    """At 100 % there is no control: the span of the phase before takes its place."""
    assert at_phase(1).before is None
    everybody = at_phase(2)
    assert everybody.before == Span(3 * DAY, 6 * DAY)

    paused = moved(pause(PLAN, everybody, at=7 * DAY, actor="ann", reason="lunch"))
    resumed = moved(resume(PLAN, paused, found=100, at=8 * DAY, actor="ann", reason="back"))
    assert (resumed.before, resumed.phase_since) == (Span(3 * DAY, 6 * DAY), 8 * DAY)


def test_a_block_stops_verdicts_alone() -> None:
    """While it is blocked no verdict moves it, nor a person by mistake; the breaker does."""
    state = moved(block(PLAN, begun(), at=1.0, actor="ann", reason="freeze"))

    assert follow(PLAN, state, PASS, at=9 * DAY) is None
    assert follow(PLAN, state, FAIL, at=9 * DAY) is None
    with pytest.raises(MoveRefused, match="freeze"):
        advance(PLAN, state, at=2.0, actor="bob", reason="")
    with pytest.raises(MoveRefused, match="freeze"):
        block(PLAN, state, at=2.0, actor="bob", reason="")
    assert moved(trip(PLAN, state, "burning", at=2.0)).percent == 0

    lifted = moved(unblock(PLAN, state, at=2.0, actor="bob", reason="over"))
    assert lifted.phase_since == 0.0
    assert moved(follow(PLAN, lifted, PASS, at=9 * DAY)).percent == 50
    with pytest.raises(MoveRefused, match="not blocked"):
        unblock(PLAN, lifted, at=3.0, actor="bob", reason="")


def test_a_pause_stops_everything() -> None:
    """Neither a verdict nor the breaker moves it until it is resumed; then the evidence is new."""
    state = moved(pause(PLAN, begun(), at=1.0, actor="ann", reason="look"))

    assert follow(PLAN, state, FAIL, at=2.0) is None
    assert trip(PLAN, state, "burning", at=2.0) is None
    with pytest.raises(MoveRefused, match="paused, not running"):
        pause(PLAN, state, at=2.0, actor="ann", reason="")
    resumed = moved(resume(PLAN, state, found=10, at=DAY, actor="ann", reason="go"))
    assert time_left(PLAN, resumed, DAY) == 2 * DAY


@pytest.mark.parametrize("found, phase", [(0, -1), (5, -1), (10, 0), (49, 0), (60, 1), (100, 2)])
def test_a_person_who_changes_the_flag_wins(found: int, phase: int) -> None:
    """The controller stands back, and leaves the share; `resume` goes on from there."""
    move = stand_back(PLAN, at_phase(1), found=found, at=9 * DAY)
    state = moved(move)
    assert (move.percent, state.status, state.percent) == (None, Status.PAUSED, found)
    assert state.paused == (f"The flag lets in {found} % instead of 50 %: a person changed it.")

    go_on = resume(PLAN, state, found=found, at=10 * DAY, actor="ann", reason="go")
    resumed = moved(go_on)
    assert go_on.percent is None
    assert (resumed.phase, resumed.percent, resumed.paused) == (phase, found, None)
    following = [each.percent for each in PLAN.phases if each.percent > found]
    after = moved(follow(PLAN, resumed, PASS, at=20 * DAY))
    assert after.percent == (following[0] if following else 100)


def test_a_change_after_the_end_is_noted() -> None:
    """What is over isn't paused by it."""
    stopped = moved(roll_back(PLAN, begun(), to=0, at=1.0, actor="ann", reason=""))
    state = moved(stand_back(PLAN, stopped, found=30, at=2.0))

    assert (state.status, state.percent, state.paused) == (Status.STOPPED, 30, None)


def test_a_person_may_go_ahead() -> None:
    """`advance` waits for neither time nor verdict; from the last phase it completes."""
    state, percents = begun(), []
    for at in (1.0, 2.0, 3.0):
        state = moved(advance(PLAN, state, at=at, actor="ann", reason="urgent"))
        percents.append((state.status, state.percent, state.history[-1].action))

    assert percents == [
        (Status.RUNNING, 50, "advance"),
        (Status.RUNNING, 100, "advance"),
        (Status.COMPLETED, 100, "complete"),
    ]
    with pytest.raises(MoveRefused, match="completed, not running"):
        advance(PLAN, state, at=4.0, actor="ann", reason="")


@pytest.mark.parametrize("to", [-1, 51, 101])
def test_a_rollback_never_lets_more_in(to: int) -> None:
    """It is refused, and the message names what is possible."""
    with pytest.raises(MoveRefused, match="0 to 50 %"):
        roll_back(PLAN, at_phase(1), to=to, at=9 * DAY, actor="ann", reason="")


def test_a_changed_plan_counts_from_the_share() -> None:
    """Phases that came or went meanwhile change nothing for those who are in."""
    longer = replace(PLAN, phases=(Phase(1, DAY), *PLAN.phases))
    state = at_phase(1)

    assert phase_of(longer, state.percent) == 2
    assert moved(follow(longer, state, PASS, at=9 * DAY)).percent == 100
    shorter = replace(PLAN, phases=PLAN.phases[:1])
    assert moved(follow(shorter, state, PASS, at=9 * DAY)).status is Status.COMPLETED


_SHARES = st.integers(0, 100)


class Rollouts(RuleBasedStateMachine):
    """Whatever the controller and people do, in whichever order."""

    @initialize()
    def begin(self) -> None:
        self.at = 0.0
        self.state = begun()
        self.flag = 10
        self.entries = 1

    def take(self, move: Move | None) -> None:
        if move is None:
            return
        self.entries += 1
        self.state = moved(move)
        if move.percent is not None:
            self.flag = move.percent

    @rule(hours=st.integers(1, 60))
    def wait(self, hours: int) -> None:
        self.at += hours * 3600.0

    @rule(verdict=st.sampled_from([PASS, HOLD, FAIL]))
    def look(self, verdict: Verdict) -> None:
        before, flag = self.state, self.flag
        move = follow(PLAN, before, verdict, at=self.at)
        self.take(move)
        if before.status is not Status.RUNNING or before.blocked or verdict is HOLD:
            assert move is None
        elif verdict is FAIL:
            assert self.flag <= flag
            assert self.state.status is Status.STOPPED
        elif move is not None:
            assert time_left(PLAN, before, self.at) == 0
            following = [phase.percent for phase in PLAN.phases if phase.percent > flag]
            assert self.flag == (following[0] if following else flag)

    @rule()
    def burn(self) -> None:
        before, flag = self.state, self.flag
        move = trip(PLAN, before, "burning", at=self.at)
        assert (move is not None) == (before.status is Status.RUNNING)
        self.take(move)
        assert self.flag <= flag

    @rule(found=_SHARES)
    def change(self, found: int) -> None:
        before = self.state
        self.flag = found
        if found != before.percent:
            self.take(stand_back(PLAN, before, found=found, at=self.at))
            assert self.state.status is not Status.RUNNING

    @precondition(lambda self: self.state.status is Status.RUNNING)
    @rule()
    def hold_on(self) -> None:
        self.take(pause(PLAN, self.state, at=self.at, actor="ann", reason="wait"))

    @precondition(lambda self: self.state.status is Status.PAUSED)
    @rule()
    def go_on(self) -> None:
        self.take(resume(PLAN, self.state, found=self.flag, at=self.at, actor="ann", reason="go"))
        assert self.state.phase_since == self.at

    @precondition(lambda self: self.state.status is Status.RUNNING and not self.state.blocked)
    @rule()
    def go_ahead(self) -> None:
        flag = self.flag
        self.take(advance(PLAN, self.state, at=self.at, actor="ann", reason="go"))
        assert self.flag in {flag, *(phase.percent for phase in PLAN.phases)}

    @precondition(lambda self: self.state.blocked is None and self.state.paused is None)
    @precondition(lambda self: self.state.status in (Status.RUNNING, Status.PAUSED))
    @rule()
    def freeze(self) -> None:
        self.take(block(PLAN, self.state, at=self.at, actor="ann", reason="freeze"))

    @precondition(lambda self: self.state.blocked is not None)
    @rule()
    def thaw(self) -> None:
        self.take(unblock(PLAN, self.state, at=self.at, actor="ann", reason="over"))

    @rule(to=st.none() | _SHARES)
    def go_back(self, to: int | None) -> None:
        flag = self.flag
        try:
            move = roll_back(PLAN, self.state, to=to, at=self.at, actor="ann", reason="bad")
        except MoveRefused:
            assert to is not None
            assert to > flag
            return
        self.take(move)
        assert self.flag <= flag

    @precondition(lambda self: self.state.status in (Status.STOPPED, Status.COMPLETED))
    @rule()
    def begin_again(self) -> None:
        self.take(
            start(
                PLAN,
                self.state,
                found=self.flag,
                at=self.at,
                actor="ann",
                reason="again",
                known_kinds=(),
            )
        )
        assert self.flag == 10

    @invariant()
    def what_is_known_is_true(self) -> None:
        if not hasattr(self, "state"):
            return
        state = self.state
        assert state.percent == self.flag
        assert state.phase == phase_of(PLAN, self.flag)
        assert len(state.history) == self.entries
        assert [entry.at for entry in state.history] == sorted(entry.at for entry in state.history)
        assert (state.before is None) or self.flag == 100
        assert (state.paused is not None) == (state.status is Status.PAUSED)


Rollouts.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
test_whatever_happens = Rollouts.TestCase
