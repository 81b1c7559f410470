"""What a worker knows of unexpected errors by itself, and what of it it tells others."""

import contextvars
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from server.error_kinds import MOST_KINDS, OTHER, ErrorKinds
from tests.support.drafts import FEATURE
from tests.support.error_kinds import CONTROL, TREATMENT, UNTREATED, Failing, meet


@pytest.fixture
def kinds() -> ErrorKinds:
    """The kinds of a worker that asks nobody: no Redis is at that address."""
    return ErrorKinds(Redis(port=1), [FEATURE])


def test_no_errors_are_zeros(kinds: ErrorKinds) -> None:
    """Of every arm there is a zero, so that no errors and no metric are not the same."""
    expected = {(OTHER, *arm): 0 for arm in (TREATMENT, CONTROL, ("", ""))}
    assert kinds.errors() == expected
    assert kinds.merchants() == expected


def test_a_merchant_counts_once(kinds: ErrorKinds) -> None:
    """Errors are all counted, merchants once for each kind and arm."""
    merchant = uuid4()
    for _ in range(3):
        meet(kinds, Failing(), merchant=merchant)
    meet(kinds, Failing())
    meet(kinds, Failing(), UNTREATED, merchant)
    meet(kinds, KeyError("x"), None, merchant)

    assert kinds.errors()["Failing", *TREATMENT] == 4
    assert kinds.merchants()["Failing", *TREATMENT] == 2
    assert kinds.merchants()["Failing", *CONTROL] == 1
    assert kinds.merchants()["KeyError", "", ""] == 1


def test_nobody_called(kinds: ErrorKinds) -> None:
    """An error before anybody is authenticated counts, and reaches no merchant."""
    contextvars.Context().run(kinds.note, Failing())

    assert kinds.errors()["Failing", "", ""] == 1
    assert kinds.merchants()["Failing", "", ""] == 0


def test_kinds_are_bounded(kinds: ErrorKinds) -> None:
    """What comes after the most kinds of an arm is `other`; a text is never part of a kind."""
    for number in range(2 * MOST_KINDS):
        meet(kinds, type(f"{'E' * 100}{number}"[-80:], (Exception,), {})("secret"))
    meet(kinds, Failing(), UNTREATED)

    names = [name for name, *arm in kinds.errors() if tuple(arm) == TREATMENT]
    assert len(names) <= MOST_KINDS
    assert all(len(name) <= 64 for name in names)
    assert sum(kinds.errors().values()) == 2 * MOST_KINDS + 1
    assert kinds.errors()["Failing", *CONTROL] == 1


def test_merchants_are_bounded(kinds: ErrorKinds) -> None:
    """A worker remembers a thousand merchants of a kind: a lower bound of how many there are."""
    for _ in range(1_100):
        meet(kinds, Failing())

    assert kinds.errors()["Failing", *TREATMENT] == 1_100
    assert kinds.merchants()["Failing", *TREATMENT] == 1_000
