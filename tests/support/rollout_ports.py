"""What a controller works with, in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from flags.rollout.documents import from_document, to_document
from flags.rollout.evidence import Calls, Evidence, EvidenceMissing, Reading, Span
from flags.rollout.plan import load_plan
from flags.rollout.ports import (
    Change,
    FlagChanged,
    FlagSwitch,
    RolloutStore,
    Saved,
    Share,
    StateChanged,
)
from flags.rollout.state import Entry, State

FLAG: Final = "customer-analytics"
PLAN: Final = load_plan(Path(__file__).parents[2] / f"flags/rollouts/{FLAG}.yaml")


class MemoryRollouts:
    """Keeps states as documents, as the real store does."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.records: list[tuple[str, Entry]] = []
        self._documents: dict[str, tuple[dict[str, Any], int]] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._clock = clock

    async def load(self, flag: str) -> Saved | None:
        if flag not in self._documents:
            return None
        document, version = self._documents[flag]
        return Saved(from_document(document), version)

    async def list(self) -> list[Saved]:
        found = [await self.load(flag) for flag in sorted(self._documents)]
        return [saved for saved in found if saved is not None]

    async def save(self, state: State, *, version: int | None, entries: tuple[Entry, ...]) -> int:
        _, stored = self._documents.get(state.flag, ({}, None))
        if stored != version:
            raise StateChanged(state.flag)
        new = (version or 0) + 1
        self._documents[state.flag] = (to_document(state), new)
        await self.record(state.flag, entries)
        return new

    async def take_lease(self, flag: str, holder: str, seconds: float) -> bool:
        current, until = self._leases.get(flag, (holder, 0.0))
        if current != holder and until >= self._clock():
            return False
        self._leases[flag] = (holder, self._clock() + seconds)
        return True

    async def drop_lease(self, flag: str, holder: str) -> None:
        if self._leases.get(flag, ("", 0))[0] == holder:
            del self._leases[flag]

    async def record(self, flag: str, entries: tuple[Entry, ...]) -> None:
        known = {(at, e.at, e.actor, e.action) for at, e in self.records}
        new = [e for e in entries if (flag, e.at, e.actor, e.action) not in known]
        self.records += [(flag, entry) for entry in new]


class MemorySwitch:
    """A flag; a person may set `percent`, of which nothing is told, or `edit` it."""

    def __init__(self, percent: int = 0) -> None:
        self.percent = percent
        self.moves: list[int] = []
        """The shares that were set by `move`."""
        self.history: list[Change] = []

    def edit(self, told: str, *, percent: int | None = None) -> None:
        """Do what a person does in Unleash; None: it leaves the share alone."""
        if percent is not None:
            self.percent = percent
        self.history.append(Change(len(self.history) + 1, percent, told))

    async def read(self, flag: str) -> Share:
        return Share(self.percent, enabled=True)

    async def move(self, flag: str, *, expected: int, percent: int) -> None:
        if self.percent != expected:
            raise FlagChanged(f"{self.percent} %, not {expected} %")
        self.edit("the controller moved it", percent=percent)
        self.moves.append(percent)

    async def changes(self, flag: str, *, since: int) -> list[Change]:
        return self.history[since:]


class MemoryEvidence:
    """Says of every span what it is told to say."""

    def __init__(self) -> None:
        self.evidence = nothing()
        self.burnt = Calls(0, 0, 0, {})
        self.problem: str | None = None
        """Why it cannot be read; None: it can."""
        self.unwatched: str | None = None
        """Why nobody is watched; None: somebody is."""
        self.spans: list[Span] = []
        """What it was asked for the breaker."""

    async def gather(self, phase: Span, before: Span | None) -> tuple[Evidence, list[Reading]]:
        reading = Reading("the query", self.problem or "the answer")
        if self.problem:
            raise EvidenceMissing(self.problem, [reading])
        return self.evidence, [reading]

    async def burned(self, span: Span) -> Calls:
        if self.problem:
            raise EvidenceMissing(self.problem)
        self.spans.append(span)
        return self.burnt

    async def require_servers(self, at: float) -> None:
        if self.unwatched:
            raise EvidenceMissing(self.unwatched)


def calls(ended: int, failed: int = 0) -> Calls:
    """Return calls that took half a second each."""
    return Calls(ended, failed, ended, {0.25: 0, 1.0: ended, 2.0: ended, 5.0: ended})


def nothing() -> Evidence:
    """Return the evidence of a service that nobody calls."""
    return Evidence(calls(0), calls(0), calls(0), {}, {})


def good() -> Evidence:
    """Return evidence that every criterion passes by."""
    return replace(nothing(), gated=calls(50_000), treatment=calls(50_000), control=calls(50_000))


def bad() -> Evidence:
    """Return evidence of an error rate that is too high."""
    return replace(good(), gated=calls(5_000, 500))


class Died(BaseException):
    """The process of a controller is no more."""


class Mortal:
    """Ports of a controller that dies at one of its calls to them, before or after its effect."""

    def __init__(
        self, store: RolloutStore, switch: FlagSwitch, *, dies_at: int | None, after: bool
    ) -> None:
        self.store: Any = _Counted(store, self._call)
        self.switch: Any = _Counted(switch, self._call)
        self.made = 0
        self._dies_at = dies_at
        self._after = after

    async def _call(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self.made += 1
        # Others have their turn in between.
        await asyncio.sleep(0)
        if self.made == self._dies_at and not self._after:
            raise Died
        result = await call()
        if self.made == self._dies_at:
            raise Died
        return result


class _Counted:
    def __init__(self, port: Any, call: Callable[[Callable[[], Awaitable[Any]]], Any]) -> None:
        self._port = port
        self._call = call

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return lambda *given, **named: self._call(lambda: method(*given, **named))
