"""What a controller shows of the rollouts that it controls."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from server.metrics.readings import Labels, Read, Readings

ACTIONS: Final = (
    "start",
    "promote",
    "complete",
    "roll back",
    "break",
    "pause",
    "resume",
    "advance",
    "block",
    "unblock",
    "stand back",
    "overtaken",
)
STATUSES: Final = ("running", "paused", "stopped", "completed")
OUTCOMES: Final = ("PASS", "FAIL", "HOLD")


class Rollout(Protocol):
    """A rollout, as its controller knows it."""

    @property
    def is_known(self) -> bool:
        """Whether the rest is known by now, but for `last_look` and `holds_since`."""

    @property
    def percent(self) -> int:
        """The share of merchants that are let in."""

    @property
    def phase(self) -> int:
        """The number of the phase, from 1 on; 0: nobody is let in."""

    @property
    def status(self) -> str:
        """One of `STATUSES`, or empty: it was never started."""

    @property
    def outcome(self) -> str:
        """One of `OUTCOMES`: the last verdict; HOLD also when a metric could not be read."""

    @property
    def actions(self) -> Mapping[str, int]:
        """How often each action was done, by whomever."""

    @property
    def last_look(self) -> float:
        """When the controller looked last, in seconds since the epoch; 0: never."""

    @property
    def last_burn_look(self) -> float:
        """When it saw last to the error budget, in seconds since the epoch; 0: never."""

    @property
    def holds_since(self) -> float:
        """Since when somebody should know that it holds, in seconds since the epoch; 0: nobody."""


def show_rollouts(readings: Readings, rollouts: Mapping[str, Rollout]) -> None:
    """Show where the rollouts of these flags stand, as soon as that is known.

    A counter that was 0 until then would seem to rise by all that was ever done.
    """

    def each(read: Callable[[Rollout], float | None]) -> dict[Labels, Read]:
        return {(flag,): partial(read, rollout) for flag, rollout in rollouts.items()}

    def each_known(read: Callable[[Rollout], float]) -> dict[Labels, Read]:
        return each(lambda rollout: read(rollout) if rollout.is_known else None)

    def each_of(values: Sequence[str], read: Callable[[str, Rollout], float]) -> dict[Labels, Read]:
        def read_known(value: str, rollout: Rollout) -> float | None:
            return read(value, rollout) if rollout.is_known else None

        return {
            (flag, value): partial(read_known, value, rollout)
            for flag, rollout in rollouts.items()
            for value in values
        }

    readings.gauge(
        "patron_rollout_percent",
        "The share of merchants that the rollout lets in.",
        each_known(lambda rollout: rollout.percent),
        ["flag"],
    )
    readings.gauge(
        "patron_rollout_phase",
        "The number of the phase, from 1 on; 0: nobody is let in.",
        each_known(lambda rollout: rollout.phase),
        ["flag"],
    )
    readings.gauge(
        "patron_rollout_status",
        "1 for what the controller does about the rollout.",
        each_of(STATUSES, lambda status, rollout: rollout.status == status),
        ["flag", "status"],
    )
    readings.gauge(
        "patron_rollout_verdict",
        "1 for the outcome of the last look.",
        each_of(OUTCOMES, lambda outcome, rollout: rollout.outcome == outcome),
        ["flag", "outcome"],
    )
    readings.counter(
        "patron_rollout_actions_total",
        "What was done to the rollout, by anybody.",
        each_of(ACTIONS, lambda action, rollout: rollout.actions.get(action, 0)),
        ["flag", "action"],
    )
    readings.gauge(
        "patron_rollout_last_look_timestamp_seconds",
        "When the controller looked last at the criteria.",
        each(lambda rollout: rollout.last_look or None),
        ["flag"],
    )
    readings.gauge(
        "patron_rollout_last_burn_look_timestamp_seconds",
        "When the controller saw last to the error budget.",
        each(lambda rollout: rollout.last_burn_look or None),
        ["flag"],
    )
    readings.gauge(
        "patron_rollout_hold_since_timestamp_seconds",
        "Since when too little is known after the phase's least time, or something cannot be "
        "read; 0: neither.",
        each(lambda rollout: rollout.holds_since),
        ["flag"],
    )
