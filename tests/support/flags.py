"""Flags as Unleash's client API tells them, and merchants to decide about."""

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from domain.model.caller import Caller
from domain.ports import Features


def flag(
    name: str, *, percent: int = 0, enabled: bool = True, constraints: Sequence[Any] = ()
) -> dict[str, Any]:
    """Return a flag with one gradual strategy."""
    strategy = {
        "name": "flexibleRollout",
        "parameters": {"rollout": str(percent), "stickiness": "userId", "groupId": name},
        "constraints": [*constraints],
    }
    return {"name": name, "type": "release", "enabled": enabled, "strategies": [strategy]}


def flags_of(*told: dict[str, Any]) -> dict[str, Any]:
    """Return an answer with these flags."""
    return {"version": 2, "features": [*told]}


def merchants(number: int) -> list[Caller]:
    """Return callers of so many merchants, the same ones every time."""
    draw = random.Random(1)
    return [Caller(UUID(int=draw.getrandbits(128), version=4), "app") for _ in range(number)]


def let_in(features: Features, flag: str, callers: Sequence[Caller]) -> set[UUID]:
    """Return which of the merchants have a feature."""
    return {caller.merchant_id for caller in callers if features.decide(flag, caller).enabled}
