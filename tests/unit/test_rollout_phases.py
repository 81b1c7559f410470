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
    assert move.entries == move.state.history[-len(move.entries) :]
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


def again(before: State, *, found: int, reason: str = "mended") -> State:
    """Return a rollout that was started after another one."""
    return moved(
        start(PLAN, before, found=found, at=11 * DAY, actor="ann", reason=reason, known_kinds={"c"})
    )


def test_starts_again_after_a_rollback() -> None:
    """Those who are let in keep the feature; the history goes on, what was known stays known."""
    stopped = moved(follow(PLAN, at_phase(2), FAIL, at=10 * DAY))
    state = again(stopped, found=50)

    assert state.known_kinds == ("a", "b", "c")
    assert (state.phase, state.percent, state.blocked) == (1, 50, None)
    assert state.started_at == state.phase_since == 11 * DAY
    assert state.history[-1].reason == "mended (from 50 % on, to which it was rolled back)"
    assert again(stopped, found=50, reason="").history[-1].reason.startswith("from 50 % on")
    # The 10 % of the same rollout were good.
    assert moved(follow(PLAN, state, FAIL, at=12 * DAY)).percent == 10
    assert [entry.action for entry in state.history] == [
        "start",
        "promote",
        "promote",
        "roll back",
        "start",
    ]


@pytest.mark.parametrize("found", [0, 10])
def test_starts_anew_from_below(found: int) -> None:
    """Rolled back to the first phase or to nobody, it begins with the first phase."""
    stopped = moved(roll_back(PLAN, at_phase(1), to=found, at=9 * DAY, actor="ann", reason=""))

    assert (again(stopped, found=found).percent, again(stopped, found=found).phase) == (10, 0)


def test_a_completed_rollout_is_not_started_by_mistake() -> None:
    """All merchants would lose the feature but for the first: it is said what to do instead."""
    completed = moved(follow(PLAN, at_phase(2), PASS, at=10 * DAY))
    assert completed.status is Status.COMPLETED

    with pytest.raises(MoveRefused, match=r"is completed: .* `rollback --to 10` first"):
        again(completed, found=100)
    back = moved(roll_back(PLAN, completed, to=10, at=10 * DAY, actor="ann", reason=""))
    assert again(back, found=10).percent == 10


def test_a_persons_share_after_a_rollback_is_not_taken_away() -> None:
    """Another share than that of the roll back is a person's: they are asked."""
    stopped = moved(follow(PLAN, at_phase(2), FAIL, at=10 * DAY))

    with pytest.raises(MoveRefused, match="60 % already"):
        again(stopped, found=60)


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


def test_everybody_at_once_is_compared_with_the_time_before() -> None:
    """Where the first phase is everybody's, what was before the start takes the control's place."""
    plan = replace(PLAN, phases=(Phase(100, 2 * DAY),))
    state = start(plan, None, found=0, at=9 * DAY, actor="ann", reason="", known_kinds=()).state

    assert (state.percent, state.before) == (100, Span(7 * DAY, 9 * DAY))


def test_what_is_compared_with_is_never_too_short() -> None:
    """After a phase of a second the span before is as long as the new phase lasts at least."""
    state = at_phase(0)
    for at in (9 * DAY, 9 * DAY + 1):
        state = moved(advance(PLAN, state, at=at, actor="ann", reason="urgent"))

    assert (state.percent, state.before) == (100, Span(8 * DAY + 1, 9 * DAY + 1))


def adopted(state: State, found: int) -> State:
    """Return a rollout that goes on from a share that a person has set."""
    state = moved(stand_back(PLAN, state, found=found, at=state.phase_since + 3600))
    at = state.phase_since + 3600
    return moved(resume(PLAN, state, found=found, at=at, actor="ann", reason="go"))


@pytest.mark.parametrize(
    "phase, found, percent",
    [(0, 30, 0), (1, 30, 10), (1, 60, 10), (1, 10, 0), (1, 5, 0), (2, 60, 50), (2, 30, 10)],
)
def test_a_persons_share_goes_back_to_a_phase_that_was_good(
    phase: int, found: int, percent: int
) -> None:
    """Between two phases the good one is the last below that the rollout had gone on from."""
    state = adopted(at_phase(phase), found)

    assert moved(follow(PLAN, state, FAIL, at=state.phase_since + 60)).percent == percent


def test_what_was_good_in_another_rollout_does_not_count() -> None:
    """Begun anew with the first phase, nothing is good yet."""
    stopped = moved(roll_back(PLAN, at_phase(1), to=0, at=9 * DAY, actor="ann", reason=""))
    state = adopted(again(stopped, found=0), 30)

    assert moved(follow(PLAN, state, FAIL, at=state.phase_since + 60)).percent == 0


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


def test_a_change_that_leaves_the_share_alone_is_a_change() -> None:
    """The controller stands back as well, and says that the share is what it was."""
    state = moved(
        stand_back(PLAN, at_phase(1), found=50, at=9 * DAY, revision=7, change="bob did it")
    )

    assert (state.status, state.percent, state.revision) == (Status.PAUSED, 50, 7)
    assert state.paused == (
        "A person changed the flag, which lets in 50 % as before. Unleash: bob did it"
    )


@pytest.mark.parametrize("found", [30, 10])
def test_a_move_that_was_overtaken_is_told(found: int) -> None:
    """What was recorded as due and never came about doesn't stay in the history as if it had."""
    due = replace(at_phase(1), moving_from=10)
    move = stand_back(PLAN, due, found=found, at=9 * DAY)
    state = moved(move)

    overtaken, entry = move.entries
    assert (overtaken.action, overtaken.percent, entry.action) == ("overtaken", found, "stand back")
    assert overtaken.reason == (
        f"The move from 10 % to 50 % was overtaken: it was {found} % by then."
    )
    assert (state.percent, state.moving_from) == (found, None)
    paused = moved(pause(PLAN, due, at=9 * DAY, actor="ann", reason="wait"))
    go_on = resume(PLAN, paused, found=found, at=9 * DAY, actor="ann", reason="go")
    assert [each.action for each in go_on.entries] == ["overtaken", "resume"]


def test_a_move_that_was_made_is_not_overtaken() -> None:
    """A flag that has the share of the move by now was moved."""
    due = replace(at_phase(1), moving_from=10)
    move = stand_back(PLAN, due, found=50, at=9 * DAY)

    assert [each.action for each in move.entries] == ["stand back"]


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
        before, flag = self.state, self.flag
        try:
            move = start(
                PLAN,
                before,
                found=flag,
                at=self.at,
                actor="ann",
                reason="again",
                known_kinds=(),
            )
        except MoveRefused:
            assert (before.status, flag > 10) == (Status.COMPLETED, True)
            return
        self.take(move)
        assert self.flag == max(flag, 10)

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
