"""What the commands of a rollout show, and how they exit."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import flags
from flags.rollout.evidence import Reading
from flags.rollout.plan import load_plan
from flags.rollout.state import Entry, Look, State, Status
from flags.rollout.verdict import Finding, Outcome, Reason, Verdict
from server.cli.rollout import exits, table
from server.cli.rollout.table import Report

PLAN = load_plan(Path(flags.__file__).with_name("rollouts") / "customer-analytics.yaml")
NOW = 1_800_000_000.0
ERRORS = Finding(
    "error rate",
    Outcome.HOLD,
    Reason.ABSOLUTE,
    0.0004,
    0.0,
    0.00123456,
    0.001,
    2400,
    "2,400 of about 2,996 calls that a claim takes.",
)
RATINGS = Finding(
    "mean rating", Outcome.NOT_JUDGED, Reason.ABSOLUTE, None, None, None, 3.5, 0, "0 of 30 ratings."
)


PATIENCE = 2 * PLAN.look_every + 30
"""How old the last look may be, in seconds."""


def look(outcome: Outcome, *, age: float = 0.0) -> Look:
    """Return a look of so many seconds ago, with a verdict."""
    findings = (replace(ERRORS, outcome=outcome), RATINGS)
    return Look(NOW - age, Verdict(outcome, findings), (Reading("sum(x[3600s])", "2400"),))


UNREADABLE = Look(NOW, None, (Reading("sum(x[3600s])", "refused"),), "Prometheus is gone")
STATE = State(
    flag=PLAN.flag,
    status=Status.RUNNING,
    phase=0,
    percent=10,
    started_at=NOW - 3600,
    phase_since=NOW - 3600,
    history=(Entry(NOW - 3600, "start", "ann", 10, "it is [time]"),),
    look=look(Outcome.HOLD),
)


def shown(state: State, *, width: int = 80, found: int | None = 10, remark: str = "") -> str:
    """Return what a terminal without colours shows."""
    file = io.StringIO()
    remarks = (remark,) if remark else ()
    Console(file=file, width=width).print(
        table.render(Report(PLAN, state, NOW, found, remarks=remarks))
    )
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_tells_everything(width: int) -> None:
    """Phase, time left, sample, criteria, queries and history are there, in any width."""
    told = shown(STATE, width=width, remark="Prometheus was asked just now.")
    assert max(map(len, told.splitlines())) <= width
    words = " ".join(told.split())
    for fact in (
        "customer-analytics: NO-GO, HOLD; running, phase 1 of 3 at 10 %",
        "47 h left at least",
        "2,400 so far",
        "2,400 of about 2,996 calls that a claim takes.",
        "0 of 30 ratings.",
        "sum(x[3600s])",
        "start by ann, 10 %: it is [time]",
        "Prometheus was asked just now.",
    ):
        assert fact in words
    for cell in ("0.0004", "0.001235", "0.001", "NOT JUDGED", "3.5", "2400"):
        # Where there is too little room, numbers are folded.
        assert cell in words or width < 80


def test_what_stands_in_the_way_is_told() -> None:
    """A block, a pause, a person's change and a metric that cannot be read have lines."""
    blind = replace(_report(STATE), failed=UNREADABLE)
    assert "a metric cannot be read; Prometheus is gone" in table.one_line(blind)
    assert blind.exit_code == exits.UNREADABLE
    blocked = shown(replace(STATE, blocked="a holiday", look=look(Outcome.PASS)), found=30)
    assert "NO-GO, HOLD (blocked; the criteria: PASS)" in blocked
    assert "a holiday" in blocked
    assert "somebody set 30 % instead of 10 %" in blocked
    paused = shown(replace(STATE, status=Status.PAUSED, paused="lunch", look=UNREADABLE))
    assert "NO-GO, a metric cannot be read; paused" in paused
    for fact in ("lunch", "Prometheus is gone", "refused"):
        assert fact in paused
    assert "NO-GO; stopped, before the first phase at 0 %" in shown(
        replace(STATE, status=Status.STOPPED, percent=0, look=None)
    )


def test_a_terminal_is_given_no_commands() -> None:
    """What people and servers have written cannot move the cursor."""
    entry = Entry(NOW, "block", "eve\x1b[2J", 10, "\x1b]0;x\x07gone")
    state = replace(
        STATE, history=(entry,), blocked="\x1b[1m", look=replace(UNREADABLE, problem="\x9b1m")
    )
    assert not {"\x1b", "\x07", "\x9b"} & {*shown(state), *table.one_line(_report(state))}


def _report(state: State) -> Report:
    return Report(PLAN, state, NOW, 10)


def test_one_line_is_one_line() -> None:
    """Where there is no terminal, a look is a line with all that matters."""
    assert table.one_line(_report(STATE)) == (
        "2027-01-15 08:00:00Z customer-analytics running; phase 1 of 3 at 10 %; "
        "47 h left at least; HOLD; error rate HOLD"
    )
    told = table.one_line(_report(replace(STATE, look=UNREADABLE)))
    assert told.endswith("a metric cannot be read; Prometheus is gone")
    ended = replace(STATE, status=Status.COMPLETED, percent=100)
    assert table.one_line(Report(PLAN, ended, NOW, 100)).endswith(
        "completed; phase 3 of 3 at 100 %"
    )


@pytest.mark.parametrize(
    "state,code",
    [
        (replace(STATE, look=look(Outcome.PASS)), 0),
        (replace(STATE, look=look(Outcome.PASS, age=PATIENCE)), 0),
        (replace(STATE, status=Status.COMPLETED, look=look(Outcome.PASS, age=9e5)), 0),
        (replace(STATE, status=Status.COMPLETED, look=UNREADABLE), 0),
        (STATE, exits.HOLDS),
        (replace(STATE, look=look(Outcome.PASS), blocked="no"), exits.HOLDS),
        (replace(STATE, look=look(Outcome.PASS), status=Status.PAUSED), exits.HOLDS),
        (replace(STATE, look=look(Outcome.FAIL)), exits.FAILS),
        (replace(STATE, look=look(Outcome.FAIL), status=Status.PAUSED), exits.FAILS),
        (replace(STATE, look=look(Outcome.PASS), status=Status.STOPPED), exits.FAILS),
        (replace(STATE, look=UNREADABLE), exits.UNREADABLE),
        (replace(STATE, look=None), exits.UNREADABLE),
        (replace(STATE, look=look(Outcome.PASS, age=PATIENCE + 1)), exits.UNREADABLE),
        (replace(STATE, look=look(Outcome.FAIL, age=PATIENCE + 1)), exits.UNREADABLE),
        (replace(STATE, look=None, phase_since=NOW - PATIENCE), exits.HOLDS),
        (replace(STATE, look=look(Outcome.PASS), phase_since=NOW), exits.HOLDS),
    ],
)
def test_the_exit_code_tells_what_holds(state: State, code: int) -> None:
    """A program knows the verdict without reading the table."""
    assert _report(state).exit_code == code


@pytest.mark.parametrize(
    "found,why", [(None, "the share is not known"), (30, "a person set another share")]
)
@pytest.mark.parametrize(
    "state,code",
    [
        (replace(STATE, look=look(Outcome.PASS)), exits.HOLDS),
        (replace(STATE, look=look(Outcome.FAIL)), exits.FAILS),
        (replace(STATE, look=None, status=Status.COMPLETED), exits.HOLDS),
    ],
)
def test_a_share_that_is_not_the_states_is_no_go(
    state: State, code: int, found: int | None, why: str
) -> None:
    """Whatever the criteria say: the flag is not known to be what they were judged for."""
    report = Report(PLAN, state, NOW, found)
    assert report.exit_code == code
    assert f"customer-analytics: NO-GO, HOLD ({why}" in shown(state, found=found, width=120)
    assert f"HOLD ({why}" in table.one_line(report)


def test_a_move_under_way_is_nobodys_change() -> None:
    """The share that is to be replaced is said to be that."""
    told = shown(replace(STATE, percent=50, moving_from=10), found=10)
    assert "from 10 % to 50 %" in told
    assert "somebody" not in told


def test_old_facts_are_said_to_be_old() -> None:
    """A verdict of long ago, and one on the phase before, are no verdicts."""
    old = shown(replace(STATE, look=look(Outcome.PASS, age=PATIENCE + 1)))
    assert "NO-GO, nobody has looked for too long" in old
    earlier = shown(replace(STATE, look=look(Outcome.PASS), phase_since=NOW))
    assert "NO-GO, HOLD (nobody has looked at this phase yet)" in earlier


def test_what_an_action_changes_is_listed() -> None:
    """Only what differs is named."""
    after = replace(STATE, status=Status.PAUSED, paused="lunch")
    assert list(table.changes(STATE, after, PLAN)) == [
        ("status", "running → paused"),
        ("paused", "no → lunch"),
    ]
    assert list(table.changes(None, STATE, PLAN)) == [
        ("status", "- → running"),
        ("phase", "- → phase 1 of 3 at 10 %"),
    ]


@pytest.mark.parametrize(
    "seconds,words",
    [(0, "0 s"), (59.6, "1 min"), (3661, "1 h 1 min"), (172_800, "48 h"), (90_060, "25 h 1 min")],
)
def test_a_duration_has_two_units(seconds: float, words: str) -> None:
    """Nobody needs the seconds of an hour."""
    assert table.span(seconds) == words
