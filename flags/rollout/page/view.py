"""What the page shows: every rollout, as one document."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import msgspec
import structlog

from flags.rollout.documents import to_document
from flags.rollout.evidence import EvidenceMissing
from flags.rollout.looking import fresh_until
from flags.rollout.phases import time_left
from flags.rollout.plan import Plan, PlanError, load_plan
from flags.rollout.ports import Saved, StoreUnreachable
from flags.rollout.prometheus import ArmPoint
from flags.rollout.state import State

_FRESH_SECONDS: Final = 1.0
"""For how long a document is given again, so that many readers cost no more than one."""
_POINTS: Final = 120
"""How many points a line has at most."""
_LONGEST_KEPT: Final = 15.0
"""For how long lines are given again at most, in seconds."""
_DIGITS: Final = 4

_NO_PROMETHEUS: Final = "Nothing tells of the past: PATRON_PROMETHEUS_URL is not set."
_NOTHING_COUNTED: Final = "Prometheus has no calls of either arm in this time."

_log = structlog.get_logger()

_Document: TypeAlias = Mapping[str, Any]


class OverTime(Protocol):
    """What tells how the arms did."""

    async def arms(
        self, since: float, until: float, step: float
    ) -> Mapping[str, Sequence[ArmPoint]]:
        """Return how each arm did at each step; raises EvidenceMissing."""


@dataclass(frozen=True, slots=True)
class _Lines:
    """How the arms did, and what that was asked for."""

    state: State
    until: float
    shown: _Document


class RolloutsView:
    """What there is to know of all rollouts, for many readers at once."""

    def __init__(
        self,
        *,
        directory: Path,
        states: Callable[[], Awaitable[Sequence[Saved]]],
        over_time: Callable[[Plan], OverTime | None],
        clock: Callable[[], float],
    ) -> None:
        """Read nothing yet.

        Args:
            directory: Where the rollout files are.
            states: Reads how the rollouts stand; raises StoreUnreachable.
            over_time: Returns what tells how the arms of a plan did; None: nothing does.
            clock: Tells the seconds since the epoch.
        """
        self._directory = directory
        self._states = states
        self._over_time = over_time
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: dict[str, _Lines] = {}
        self._known: _Document = {"as_of": None, "notes": [], "rollouts": []}
        self._kept: tuple[float, bytes] | None = None

    def as_json(self) -> bytes:
        """Return the document, at most a second old; blocks while it is made.

        What cannot be read is said in it, in words: `problem` when the rollouts are not those of
        now but of `as_of`, the last time that they could be read, or were never read (null).
        """
        with self._lock:
            now = self._clock()
            if self._kept is None or not 0 <= now - self._kept[0] < _FRESH_SECONDS:
                document = msgspec.json.encode(asyncio.run(self._look(now)))
                # Counted from the end: a look may have waited long for what does not answer.
                self._kept = (self._clock(), document)
            return self._kept[1]

    async def _look(self, now: float) -> _Document:
        try:
            self._known, problem = await self._gather(now), None
        except StoreUnreachable as error:
            problem = f"It cannot be read how the rollouts stand: {error}."
        except Exception as error:  # noqa: BLE001 - a reader gets words, whatever is broken.
            _log.exception("the page of rollouts failed")
            problem = f"The page failed: {type(error).__name__}. The server's log tells more."
        return {"now": now, "problem": problem, **self._known}

    async def _gather(self, now: float) -> _Document:
        plans, notes = _plans(self._directory)
        states = {saved.state.flag: saved.state for saved in await self._states()}
        notes += [
            f"{flag} has a state, but no rollout file in {self._directory}."
            for flag in sorted(states.keys() - {plan.flag for plan in plans})
        ]
        rollouts = [await self._rollout(plan, states.get(plan.flag), now) for plan in plans]
        return {"as_of": now, "notes": notes, "rollouts": rollouts}

    async def _rollout(self, plan: Plan, state: State | None, now: float) -> _Document:
        return {
            "plan": plan,
            "state": None if state is None else to_document(state),
            "now": now,
            "time_left": None if state is None else time_left(plan, state, now),
            "fresh_until": None if state is None else fresh_until(plan, state),
            "series": None if state is None else await self._series(plan, state, now),
        }

    async def _series(self, plan: Plan, state: State, now: float) -> _Document:
        # From before the phase, so that it is seen what the last move changed.
        since = state.phase_since - min(window.long for window in plan.breaker.windows)
        # Over such a span the plan takes counts for good.
        finest = min(window.short for window in plan.breaker.windows) / 2
        step = max(finest, (now - since) / _POINTS)
        kept = self._lines.get(plan.flag)
        if (
            kept is None
            or (kept.state.started_at, kept.state.phase_since)
            != (state.started_at, state.phase_since)
            or not 0 <= now - kept.until < min(_LONGEST_KEPT, step / 2)
        ):
            shown = await self._draw(plan, since=since, until=now, step=step)
            self._lines[plan.flag] = kept = _Lines(state, now, shown)
        return kept.shown

    async def _draw(self, plan: Plan, *, since: float, until: float, step: float) -> _Document:
        source = self._over_time(plan)
        if source is None:
            return {"note": _NO_PROMETHEUS}
        try:
            # A point tells of the step before it.
            arms = await source.arms(since + step, until, step)
        except EvidenceMissing as error:
            return {"note": f"The past cannot be read: {error}."}
        if not any(arms.values()):
            return {"note": _NOTHING_COUNTED}
        return {
            "note": None,
            "since": since,
            "until": until,
            "step": step,
            "error_rate": {
                arm: [_point(each.at, each.error_rate) for each in points]
                for arm, points in arms.items()
            },
            "slow": {
                arm: [_point(each.at, each.slow_seconds) for each in points]
                for arm, points in arms.items()
            },
        }


def _plans(directory: Path) -> tuple[list[Plan], list[str]]:
    """Return the plans of a directory, and what is wrong with its other files."""
    plans: list[Plan] = []
    notes: list[str] = []
    for file in sorted(directory.glob("*.yaml")):
        try:
            plans.append(load_plan(file))
        except PlanError as error:
            notes.append(f"A rollout file cannot be read: {error}")
    return plans, notes


def _point(at: float, value: float | None) -> tuple[float, float | None]:
    return round(at, 1), None if value is None else float(f"{value:.{_DIGITS}g}")
