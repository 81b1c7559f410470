"""Decisions, made once and remembered until the flags change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias
from uuid import UUID

from yggdrasil_engine.engine import UnleashEngine

from domain.model.caller import Caller
from domain.model.feature import Decision
from flags.deciding.snapshot import Snapshot

Evaluate: TypeAlias = Callable[[str, dict[str, Any]], bool]
"""Returns whether a flag is on in a context, as Unleash calls what it decides by."""

_REMEMBERED: Final = 50_000
"""How many decisions are remembered, the newest ones: some 14 MB."""

_Key: TypeAlias = tuple[str, UUID, str | None, str | None]


class _Memory:
    """What was decided by one snapshot."""

    __slots__ = ("decisions", "snapshot")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.decisions: dict[_Key, Decision] = {}


class RememberingFeatures:
    """Decides for each merchant, version of the application and platform once per snapshot.

    One thread alone may ask; any may replace the snapshot.
    """

    def __init__(
        self, evaluate: Evaluate, snapshot: Snapshot, *, remembered: int = _REMEMBERED
    ) -> None:
        """Decide by what the engine behind `evaluate` was given, which `snapshot` explains."""
        self._evaluate = evaluate
        self._memory = _Memory(snapshot)
        self._remembered = remembered

    def decide(self, feature: str, caller: Caller) -> Decision:
        """Return whether a caller has a feature, as the port has it."""
        # One that was decided by the flags of before is stored with them, and goes with them.
        memory = self._memory
        key = (feature, caller.merchant_id, caller.app_version, caller.platform)
        decision = memory.decisions.get(key)
        if decision is None:
            enabled = self._evaluate(feature, _context(caller))
            decision = memory.snapshot.explain(feature, enabled=enabled)
            if len(memory.decisions) >= self._remembered:
                del memory.decisions[next(iter(memory.decisions))]
            memory.decisions[key] = decision
        return decision

    def share(self, feature: str) -> int | None:
        """Return the percentage of merchants that have a feature; None: no percentage decides."""
        return self._memory.snapshot.share(feature)

    def replace(self, snapshot: Snapshot) -> None:
        """Forget all decisions; to be called after the engine was given the new flags."""
        self._memory = _Memory(snapshot)


def features_in(path: Path) -> RememberingFeatures:
    """Return what decides by the flags in a file, which nothing changes any more.

    Raises:
        FlagsUnusable: There are none in it.
    """
    snapshot, engine = Snapshot.read(path), UnleashEngine()
    engine.take_state(snapshot.text)
    return RememberingFeatures(
        lambda feature, context: engine.check_enabled(feature, context).is_enabled, snapshot
    )


def _context(caller: Caller) -> dict[str, Any]:
    """Return what Unleash decides by; the stickiness of a rollout is the merchant's."""
    properties = {"appVersion": caller.app_version, "platform": caller.platform}
    return {
        "userId": str(caller.merchant_id),
        "properties": {name: value for name, value in properties.items() if value is not None},
    }
