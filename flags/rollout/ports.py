"""What the controller needs from the outside, beside the evidence."""

from dataclasses import dataclass
from typing import Protocol

from flags.rollout.state import Entry, State


class FlagChanged(Exception):
    """The flag's share is not the one that was to be replaced: somebody else changed it."""


class FlagUnusable(Exception):
    """The flag is not there, or is not one whose share a controller may set; says why."""


class SwitchUnreachable(Exception):
    """Unleash does not answer, or refuses; says why."""


@dataclass(frozen=True, slots=True)
class Share:
    """How a flag stands in Unleash."""

    percent: int
    """The share of merchants that it lets in; 0 when it is off."""
    enabled: bool


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was done to a flag, by anybody."""

    revision: int
    """Its number; later ones have larger numbers."""
    percent: int | None
    """The share that it set; None: it changed something else, or more than that."""
    told: str
    """Who did what and when, for a reader."""


class FlagSwitch(Protocol):
    """The flag, where it is moved."""

    async def read(self, flag: str) -> Share:
        """Return the share of merchants that are let in.

        Raises:
            FlagUnusable: It is not there, or has other than one gradual strategy.
            SwitchUnreachable: Unleash cannot be asked.
        """

    async def move(self, flag: str, *, expected: int, percent: int) -> None:
        """Set the share, if it is still the expected one.

        Raises:
            FlagChanged: It is another one; nothing was changed.
            FlagUnusable: As for `read`.
            SwitchUnreachable: Unleash cannot be asked; whether it was changed is not known.
        """

    async def changes(self, flag: str, *, since: int) -> list[Change]:
        """Return what was done to whom the flag lets in, after a revision, the oldest first.

        What lies far back, or is not kept, may be missing.

        Raises:
            SwitchUnreachable: Unleash cannot be asked.
        """


class StateChanged(Exception):
    """Somebody else has saved the state since it was read."""


class StoreUnreachable(Exception):
    """The state cannot be read or saved now."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A state as it was read."""

    state: State
    version: int


class RolloutStore(Protocol):
    """Keeps the states of rollouts, and the record of who did what. Raises StoreUnreachable."""

    async def load(self, flag: str) -> Saved | None:
        """Return the state; None: the rollout was never started."""

    async def list(self) -> list[Saved]:
        """Return every state, by flag."""

    async def save(self, state: State, *, version: int | None, entries: tuple[Entry, ...]) -> int:
        """Replace the state of a version (None: there is none yet), and record the entries.

        Both happen or neither. Returns the new version.

        Raises:
            StateChanged: The state has another version by now.
        """

    async def take_lease(self, flag: str, holder: str, seconds: float) -> bool:
        """Return whether `holder` alone controls the rollout for so long from now on."""

    async def drop_lease(self, flag: str, holder: str) -> None:
        """Give the lease back, if the holder has it."""

    async def record(self, flag: str, entries: tuple[Entry, ...]) -> None:
        """Record what happened while the store was out of reach."""
