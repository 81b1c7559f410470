"""The facts of the current call."""

import pytest

from server.call import current_caller, find_caller, find_failure


def test_outside_a_call() -> None:
    """Outside a call there is no caller and no failure, and code that needs one is told so."""
    assert find_caller() is None
    assert find_failure() is None
    with pytest.raises(LookupError):
        current_caller()
