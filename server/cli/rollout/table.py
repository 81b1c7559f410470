"""The go/no-go table of a rollout, and the other things that its commands print."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flags.rollout import phases
from flags.rollout.evidence import Reading
from flags.rollout.looking import is_fresh, look_at_phase
from flags.rollout.plan import Plan
from flags.rollout.state import Entry, Look, State, Status
from flags.rollout.verdict import Finding, Outcome
from server.cli.rollout.exits import FAILS, HOLDS, UNREADABLE

_STYLES: Final = {
    "GO": "bold green",
    "NO-GO": "bold red",
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.HOLD: "yellow",
    Outcome.NOT_JUDGED: "dim",
}
GOING: Final = (Status.RUNNING, Status.PAUSED)
"""A rollout of such a status has not ended."""

_UNITS: Final = ((3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Report:
    """A rollout as it is shown."""

    plan: Plan
    state: State
    """With the look that is shown."""
    now: float
    """When it is shown, in seconds since the epoch."""
    found: int | None
    """The share that the flag lets in now; None: Unleash doesn't tell."""
    failed: Look | None = None
    """What could not be read just now; None: everything could be, or nothing was asked."""
    remarks: tuple[str, ...] = ()
    """What a reader has to know of how it came about."""

    @property
    def exit_code(self) -> int:
        """How `status` exits on it."""
        return self._standing[0]

    @property
    def word(self) -> str:
        """What is known of it, in a word; empty: that it has ended."""
        return self._standing[1]

    @property
    def is_moving(self) -> bool:
        """Whether the flag still has the share that is about to be replaced."""
        return self.found is not None and self.found == self.state.moving_from

    @property
    def _standing(self) -> tuple[int, str]:
        if self.state.status is Status.STOPPED:
            return FAILS, ""
        if self.state.status is Status.COMPLETED:
            return (HOLDS, f"HOLD ({self._obstacle})") if self._obstacle else (0, "")
        look = self.failed or look_at_phase(self.state)
        if not self.failed and not is_fresh(self.plan, self.state, self.now):
            return UNREADABLE, "nobody has looked for too long"
        if look is None:
            return HOLDS, "HOLD (nobody has looked at this phase yet)"
        if look.verdict is None:
            return UNREADABLE, "a metric cannot be read"
        return self._judge(look.verdict.outcome)

    def _judge(self, outcome: Outcome) -> tuple[int, str]:
        code = {Outcome.PASS: 0, Outcome.FAIL: FAILS}.get(outcome, HOLDS)
        if self._obstacle is None:
            return code, outcome
        return code or HOLDS, f"HOLD ({self._obstacle}; the criteria: {outcome})"

    @property
    def _obstacle(self) -> str | None:
        """What keeps it from going on, whatever the criteria say; None: nothing."""
        if self.state.blocked is not None:
            return "blocked"
        if self.state.status is Status.PAUSED:
            return "paused"
        if self.found is None:
            return "the share is not known"
        if self.is_moving:
            return "a move is under way"
        return None if self.found == self.state.percent else "a person set another share"

    @property
    def problem(self) -> str | None:
        """What cannot be read."""
        look = self.failed or self.state.look
        return look.problem if look else None

    @property
    def readings(self) -> tuple[Reading, ...]:
        """Every query, and what came back last."""
        look = self.failed or self.state.look
        return look.readings if look else ()


def render(report: Report) -> RenderableType:
    """Return the whole status of a rollout, for people."""
    parts: list[RenderableType] = [_headline(report), *_circumstances(report)]
    look = report.state.look
    if look is not None and look.verdict is not None:
        asked = Text(f"Criteria, as of {clock(look.at)}", style="bold")
        findings = look.verdict.findings
        parts += ["", asked, _criteria(findings), *_explanations(findings)]
    if report.readings:
        parts += ["", Text("Queries", style="bold"), *_queries(report.readings)]
    parts += ["", Text("History", style="bold")]
    parts += [Text(describe_entry(entry)) for entry in report.state.history]
    return Group(*parts)


def one_line(report: Report) -> str:
    """Return the status of a rollout in one line."""
    state = report.state
    facts = [clock(report.now), state.flag, state.status, _place(report.plan, state)]
    if state.status in GOING:
        facts += [_remaining(report), report.word, *_findings_in_short(report)]
    elif report.word:
        facts.append(report.word)
    return plain("; ".join([" ".join(facts[:3]), *facts[3:], *report.remarks]))


def changes(before: State | None, after: State, plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the name of everything that an action changes, and how."""
    rows = (
        ("status", before and before.status, after.status),
        ("phase", before and _place(plan, before), _place(plan, after)),
        ("paused", before and _reason(before.paused), _reason(after.paused)),
        ("blocked", before and _reason(before.blocked), _reason(after.blocked)),
    )
    for name, old, new in rows:
        if old != new and (old or new != "no"):
            yield name, f"{old or '-'} → {new}"


def describe_plan(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield what a plan asks for, each with its name."""
    for number, phase in enumerate(plan.phases, start=1):
        yield f"phase {number}", f"{phase.percent} % for at least {span(phase.at_least)}"
    criteria = plan.criteria
    yield "errors", f"below {criteria.error_rate * 100:g} % of the calls"
    yield "durations", f"p{criteria.quantile * 100:g} below {criteria.slow_seconds:g} s"
    yield "compared", f"at most {criteria.max_ratio:g} times the control's"
    yield "new errors", f"none that reaches {criteria.new_error_merchants:,} merchants"
    yield (
        "ratings",
        f"{criteria.rating_mean:g} on average, of at least {criteria.rating_count:,}",
    )
    yield "looks", f"every {span(plan.look_every)}, {plan.confidence * 100:g} % sure over all"


def describe_entry(entry: Entry) -> str:
    """Return a line of the history."""
    told = f"{clock(entry.at)} {entry.action} by {entry.actor}, {entry.percent} %"
    return plain(f"{told}: {entry.reason}" if entry.reason else told)


def clock(at: float) -> str:
    """Return an instant, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def span(seconds: float) -> str:
    """Return a duration in its two largest units, such as `47 h 59 min`."""
    rest = round(seconds)
    words = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        words += [f"{count} {unit}"] if count else []
    return " ".join(words[:2]) or "0 s"


def plain(text: str) -> str:
    """Return a text without anything that a terminal would take for a command."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _reason(why: str | None) -> str:
    """Return why something is so, or whether it is, where nobody said why."""
    return "no" if why is None else why or "yes"


def _headline(report: Report) -> Text:
    state = report.state
    go = "GO" if report.exit_code == 0 else "NO-GO"
    word = f"{go}, {report.word}" if report.word else go
    return Text.assemble(
        (plain(state.flag), "bold"), ": ", (word, _STYLES[go]),
        f"; {state.status}, {_place(report.plan, state)}",
    )  # fmt: skip


def _place(plan: Plan, state: State) -> str:
    """Return where a rollout is, such as `phase 1 of 3 at 10 %`."""
    place = "before the first phase"
    if (phase := phases.phase_of(plan, state.percent)) >= 0:
        place = f"phase {phase + 1} of {len(plan.phases)}"
    return f"{place} at {state.percent} %"


def _remaining(report: Report) -> str:
    seconds = phases.time_left(report.plan, report.state, report.now)
    return f"{span(seconds)} left at least" if seconds else "the least time is over"


def _circumstances(report: Report) -> Iterator[Text]:
    state = report.state
    since = f"{clock(state.phase_since)}, {span(max(0.0, report.now - state.phase_since))} ago"
    left = f"; {_remaining(report)}" if state.status in GOING else ""
    yield Text(f"  since      {since}{left}")
    if state.look is not None and state.look.verdict is not None:
        sample = max((each.sample for each in state.look.verdict.findings), default=0)
        yield Text(f"  sample     {sample:,} so far")
    if report.found is not None:
        yield Text(f"  in Unleash {report.found} %")
    if report.is_moving:
        move = f"from {state.moving_from} % to {state.percent} %, not done in Unleash yet"
        yield Text(f"  moving     {move}", style="yellow")
    elif report.found is not None and report.found != state.percent:
        change = f"somebody set {report.found} % instead of {state.percent} %"
        if state.status in GOING:
            change += ": the controller stands back until `resume`"
        yield Text(f"  changed    {change}", style="yellow")
    for name, why in (("blocked", state.blocked), ("paused", state.paused)):
        if why is not None:
            yield Text(f"  {name:<10} {plain(_reason(why))}", style="yellow")
    if report.problem is not None:
        yield Text(f"  problem    {plain(report.problem)}", style="bold red")
    for remark in report.remarks:
        yield Text(f"  note       {plain(remark)}", style="yellow")


def _criteria(findings: tuple[Finding, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("Criterion", "Kind", "Outcome"):
        table.add_column(name)
    for name in ("Value", "Bounds", "Limit", "Sample"):
        table.add_column(name, justify="right", overflow="fold")
    for finding in findings:
        table.add_row(
            Text(plain(finding.criterion)),
            Text(finding.reason),
            Text(finding.outcome, style=_STYLES[finding.outcome]),
            _number(finding.value),
            _bounds(finding),
            _number(finding.limit),
            f"{finding.sample:,}",
        )
    return table


def _explanations(findings: tuple[Finding, ...]) -> Iterator[RenderableType]:
    for finding in findings:
        yield Text.assemble((plain(finding.criterion), "bold"), ": ", plain(finding.explanation))


def _findings_in_short(report: Report) -> list[str]:
    """Return the criteria that are not kept; where nothing could be read, why."""
    look = report.state.look
    if report.problem is not None or look is None or look.verdict is None:
        return [report.problem] if report.problem else []
    return [
        f"{finding.criterion} {finding.outcome}"
        for finding in look.verdict.findings
        if finding.outcome in (Outcome.FAIL, Outcome.HOLD)
    ]


def _bounds(finding: Finding) -> str:
    if finding.low is None and finding.high is None:
        return "-"
    return f"{_number(finding.low)} to {_number(finding.high)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _queries(readings: tuple[Reading, ...]) -> Iterator[RenderableType]:
    for reading in readings:
        yield Text(plain(reading.query), style="dim")
        yield Padding(Text(plain(reading.answer)), (0, 0, 0, 4))
