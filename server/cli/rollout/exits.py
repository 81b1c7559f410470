"""How the commands of a rollout exit, beside 1 for what failed and 2 for wrong use."""

from typing import Final

from flags.rollout.state import Look, State, Status
from flags.rollout.verdict import Outcome

HOLDS: Final = 3
"""Nothing moves: too little is known yet, or it is paused or blocked."""
FAILS: Final = 4
"""A criterion is broken, or the rollout was stopped."""
UNREADABLE: Final = 5
"""A metric cannot be read."""
UNSEEN: Final = 6
"""The flag was rolled back; not every worker is known to have seen it."""

EXITS_OF_STATUS: Final = f"""\
\b
Exits with
  0  GO: every criterion is kept so far, or the rollout is completed
  1  the status cannot be told
  2  wrong use
  {HOLDS}  HOLD: too little is known yet, or it is paused or blocked
  {FAILS}  FAIL: a criterion is broken, or the rollout was stopped
  {UNREADABLE}  a metric cannot be read: nothing moves"""


def exit_of(state: State, look: Look | None, *, is_readable: bool) -> int:
    """Return how `status` exits.

    Args:
        state: Where the rollout stands.
        look: The last one at it.
        is_readable: Whether the metrics can be read now.
    """
    if state.status is Status.COMPLETED:
        return 0
    if state.status is Status.STOPPED:
        return FAILS
    if not is_readable or look is None or look.verdict is None:
        return UNREADABLE
    if look.verdict.outcome is Outcome.FAIL:
        return FAILS
    is_free = state.status is Status.RUNNING and state.blocked is None
    return 0 if is_free and look.verdict.outcome is Outcome.PASS else HOLDS
