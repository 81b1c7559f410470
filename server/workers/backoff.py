"""How long to wait before something that failed is tried again."""

import random
from typing import Final

_FIRST: Final = 0.2
_HIGHEST: Final = 30.0
_STEADY: Final = 60.0


class Backoff:
    """Doubles the wait with every failure, up to half a minute, and starts over after a minute.

    Each wait is drawn from the upper half of its range, so that many that failed together don't
    try again together.
    """

    def __init__(self) -> None:
        self._ceiling = _FIRST

    def delay(self, lived: float) -> float:
        """Return the seconds to wait after a failure that came `lived` seconds after a success."""
        if lived >= _STEADY:
            self._ceiling = _FIRST
        ceiling, self._ceiling = self._ceiling, min(2 * self._ceiling, _HIGHEST)
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - it need not be unguessable.
