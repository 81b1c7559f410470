"""Rollout files whose days are seconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.command_line import REPOSITORY

FLAG: Final = "customer-analytics"

_SHIPPED: Final = REPOSITORY / f"flags/rollouts/{FLAG}.yaml"
_NEVER: Final = 1000.0
"""How many times too fast no error budget can burn."""


def write_rollout_file(
    folder: Path,
    *,
    phases: Sequence[tuple[int, int]] = ((10, 6), (50, 6), (100, 6)),
    look_every: int = 2,
    error_rate: float = 0.03,
    slow_seconds: float = 1,
    ratings: int = 30,
    burn: float = _NEVER,
) -> None:
    """Write the file of the flag that Patron has, with its queries and other figures.

    Args:
        folder: Where to.
        phases: Their shares in percent, and how many seconds they last at least.
        look_every: Seconds between two looks.
        error_rate: Which share of calls may fail.
        slow_seconds: What bounds the 95th percentile of the durations.
        ratings: How many ratings it takes to judge them.
        burn: How many times too fast the budget must burn for the breaker to act at once; unless
            it is given, the breaker never does.
    """
    plan: dict[str, Any] = yaml.safe_load(_SHIPPED.read_text())
    plan["phases"] = [{"percent": share, "at_least": f"{least}s"} for share, least in phases]
    plan["look_every"] = f"{look_every}s"
    plan["criteria"]["error_rate"] = error_rate
    plan["criteria"]["slow"]["seconds"] = slow_seconds
    plan["criteria"]["rating"]["of_at_least"] = ratings
    plan["breaker"] = {
        "look_every": "1s",
        "least_errors": 10,
        "windows": [{"burn": burn, "short": "3s", "long": "6s"}],
    }
    (folder / f"{FLAG}.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
