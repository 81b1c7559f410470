"""Which kinds of unexpected errors are no news to a rollout."""

from flags.rollout.state import State, Status


def accepted_since(before: State | None) -> float | None:
    """Return since when the errors of those who have the feature are no news to its next rollout.

    Before its first rollout they are as old as those of everybody; and whoever let all merchants
    have it took it as it was. But one that was rolled back may have been so for any of them.

    Args:
        before: The state of the last rollout; None: there was none.

    Returns:
        Seconds since the epoch; None: all of them are news still.
    """
    if before is None:
        return 0.0
    return before.started_at if before.status is Status.COMPLETED else None
