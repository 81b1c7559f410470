"""How the commands of a rollout exit, beside 1 for what failed and 2 for wrong use."""

from typing import Final

HOLDS: Final = 3
"""Nothing moves: too little is known yet, or it is paused or blocked."""
FAILS: Final = 4
"""A criterion is broken, or the rollout was stopped."""
UNREADABLE: Final = 5
"""A metric cannot be read."""
UNSEEN: Final = 6
"""The flag was rolled back; not every worker is known to have seen it."""
