"""What a busy machine can spoil, tried again."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self


class Try:
    """What has to hold in one of the tries; what has to hold in each of them goes outside."""

    def __init__(self, *, last: bool) -> None:
        self._last = last
        self.passed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> bool:
        self.passed = error is None
        return isinstance(error, AssertionError) and not self._last


def tries(most: int = 3) -> Iterator[Try]:
    """Yield tries until one has passed; what the last one asserts fails the test."""
    for left in reversed(range(most)):
        one = Try(last=not left)
        yield one
        if one.passed:
            return
