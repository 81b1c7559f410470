"""What is known before a rollout begins."""

from dataclasses import replace

import pytest

from flags.rollout.kinds import accepted_since
from flags.rollout.state import State, Status

STATE = State(
    flag="f", status=Status.COMPLETED, phase=2, percent=100, started_at=500.0, phase_since=900.0
)


@pytest.mark.parametrize(
    "before, since",
    [
        (None, 0.0),
        (STATE, 500.0),
        (replace(STATE, percent=0, phase=-1), 500.0),
        (replace(STATE, status=Status.STOPPED, percent=50), None),
        (replace(STATE, status=Status.RUNNING), None),
    ],
)
def test_what_rolled_a_feature_back_is_not_accepted(
    before: State | None, since: float | None
) -> None:
    """Errors of those who have it are old ones unless the last rollout did not get to its end."""
    assert accepted_since(before) == since
