"""All flags as they were told at one moment."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from yggdrasil_engine.engine import UnleashEngine

from domain.model.feature import Decision, DecisionReason

_EVERYBODY: Final = 100
_GRADUAL: Final = "flexibleRollout"


class FlagsUnusable(Exception):
    """There are no flags where they should be; the message is a sentence whose subject is that."""


class _Strategy(msgspec.Struct):
    name: str
    parameters: dict[str, str] = {}
    constraints: list[object] = []
    segments: list[int] = []

    def share(self) -> int | None:
        if self.name == "default":
            return None if self.constraints or self.segments else _EVERYBODY
        return _percent(self.parameters.get("rollout", "")) if self.name == _GRADUAL else None

    def lets_everybody_in(self) -> bool:
        return self.share() == _EVERYBODY and not (self.constraints or self.segments)


class _Flag(msgspec.Struct):
    name: str
    enabled: bool
    strategies: list[_Strategy]
    dependencies: list[object] = []

    def share(self) -> int | None:
        if not self.enabled:
            return 0
        if not self.strategies:
            return _EVERYBODY
        return self.strategies[0].share() if len(self.strategies) == 1 else None

    def lets_everybody_in(self) -> bool:
        ways = self.strategies
        open_to_all = not ways or any(way.lets_everybody_in() for way in ways)
        return self.enabled and open_to_all and not self.dependencies


class _Flags(msgspec.Struct):
    version: int
    features: list[_Flag]


class Snapshot:
    """The flags of one moment, as Unleash's client API tells them."""

    def __init__(self, text: str, flags: Mapping[str, _Flag]) -> None:
        self.text = text
        """What the engine that decides is given; empty: nothing is known yet."""
        self._flags = flags

    @classmethod
    def nothing(cls) -> "Snapshot":
        """Return what is known before anybody has told anything: every feature is off."""
        return cls("", {})

    @classmethod
    def parse(cls, text: str | bytes) -> "Snapshot":
        """Return the snapshot of an answer.

        Raises:
            FlagsUnusable: It is none, or not one that the engine takes as a whole.
        """
        try:
            told = json.loads(text)
            flags = msgspec.convert(told, _Flags).features
        except (ValueError, RecursionError) as error:
            raise FlagsUnusable(f"tells no flags: {error}") from None
        for feature in told["features"]:
            # Nobody listens to impressions, and they would crowd out the events of new flags.
            feature["impressionData"] = False
        told = json.dumps(told)
        if not _is_taken(told, flags):
            raise FlagsUnusable("tells flags that the engine does not take")
        return cls(told, {flag.name: flag for flag in flags})

    @classmethod
    def read(cls, path: Path) -> "Snapshot":
        """Return the snapshot in a file; raises FlagsUnusable."""
        try:
            return cls.parse(path.read_bytes())
        except OSError as error:
            raise FlagsUnusable(f"cannot be read: {error.strerror}") from error

    def share(self, feature: str) -> int | None:
        """Return the percentage of merchants that a flag lets in; None: it is none of a percentage.

        A flag that is not there lets nobody in.
        """
        flag = self._flags.get(feature)
        return 0 if flag is None else flag.share()

    def explain(self, feature: str, *, enabled: bool) -> Decision:
        """Return the decision of the engine with its reason."""
        flag = self._flags.get(feature)
        if enabled:
            everybody = flag is not None and flag.lets_everybody_in()
            reason = DecisionReason.ALWAYS_ON if everybody else DecisionReason.ROLLOUT
        elif flag is None:
            reason = DecisionReason.UNKNOWN_FLAG
        else:
            outside = flag.enabled
            reason = DecisionReason.OUTSIDE_ROLLOUT if outside else DecisionReason.SWITCHED_OFF
        return Decision(enabled, reason)


def _percent(text: str) -> int:
    """Return the percentage as the engine reads it, for which whatever is none lets nobody in."""
    percent = int(text) if text.isascii() and text.isdecimal() else 0
    return percent if percent <= _EVERYBODY else 0


def _is_taken(text: str, flags: list[_Flag]) -> bool:
    """Return whether the engine takes all flags; it does not say when it leaves one out."""
    engine = UnleashEngine()
    engine.take_state(text)
    return {known.name for known in engine.list_known_toggles()} == {flag.name for flag in flags}
