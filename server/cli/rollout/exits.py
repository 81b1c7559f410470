"""How the commands of a rollout exit, beside 1 for what failed and 2 for wrong use."""

from typing import Final

HOLDS: Final = 3
"""Nothing moves: too little is known yet, it is paused or blocked, or Unleash doesn't say that the
flag has the share that was set."""
FAILS: Final = 4
"""A criterion is broken, or the rollout was stopped."""
UNREADABLE: Final = 5
"""A metric cannot be read, or nobody has looked for too long."""
UNSEEN: Final = 6
"""The flag was rolled back; not every worker is known to have seen it."""
