"""Where a rollout stands: what outlives its controller."""

import enum
from dataclasses import dataclass
from typing import Final

from flags.rollout.evidence import Reading, Span
from flags.rollout.verdict import Verdict


class Status(enum.StrEnum):
    """What the controller does about a rollout."""

    RUNNING = "running"
    """It looks, and moves the flag."""
    PAUSED = "paused"
    """It looks and changes nothing until `resume`: a person said so, or changed the flag."""
    STOPPED = "stopped"
    """It was rolled back; nothing moves until `start`."""
    COMPLETED = "completed"
    """Every phase has passed."""


GOING: Final = (Status.RUNNING, Status.PAUSED)
"""As long as one of these, it is not over."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a rollout's history."""

    at: float
    """When, in seconds since the epoch."""
    action: str
    """What happened: start, promote, complete, roll back, break, pause, resume, advance, block,
    unblock, stand back, overtaken."""
    actor: str
    """Who: `controller`, or the name of a person."""
    percent: int
    """The share of merchants that are let in from then on."""
    reason: str
    """Why, for a reader."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the criteria."""

    at: float
    verdict: Verdict | None
    """None: a metric could not be read."""
    readings: tuple[Reading, ...]
    problem: str | None = None
    """Why there is no verdict."""


@dataclass(frozen=True, slots=True)
class State:
    """A rollout that was started."""

    flag: str
    status: Status
    phase: int
    """The index of the phase in the plan; -1: nobody is let in."""
    percent: int
    """The share that the controller or one of its commands set last, or found when it stood back:
    another one in Unleash is a person's change."""
    started_at: float
    """When the rollout began, in seconds since the epoch."""
    phase_since: float
    """When the phase began."""
    moving_from: int | None = None
    """The share that is to be replaced in Unleash, while nobody knows yet that it was; None: it
    was."""
    revision: int = 0
    """The last thing that was done to the flag in Unleash, as far as it is the rollout's own or was
    accepted: what others did since is a person's change; 0: it is not known."""
    before: Span | None = None
    """The span before the phase, to compare with when all merchants are let in."""
    blocked: str | None = None
    """Why nothing may move; None: nobody blocks it."""
    paused: str | None = None
    """Why it is paused."""
    known_kinds: tuple[str, ...] = ()
    """The kinds of unexpected errors from before the rollout."""
    history: tuple[Entry, ...] = ()
    """The oldest first."""
    look: Look | None = None
    """The last one."""
