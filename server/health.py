"""Whether the server and the parts behind it are well."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

_TIMEOUT: Final = 2.0


Check = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How the server is."""

    well: bool
    """Whether it can serve."""
    parts: dict[str, bool]
    """Of each part behind it, whether it answers; not all of them are needed to serve."""

    @property
    def status(self) -> str:
        """How it is in a word."""
        return _word(well=self.well)

    def details(self) -> Mapping[str, object]:
        """Return what is told beside the status."""
        return {"parts": {name: _word(well=well) for name, well in self.parts.items()}}


def _word(*, well: bool) -> str:
    """Return how health is told in a word."""
    return "ok" if well else "failing"


class Health:
    """Asks every part for a sign of life, from a thread other than the event loop's."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        needed: Mapping[str, Check],
        helpful: Mapping[str, Check],
    ) -> None:
        self._loop = loop
        self._needed = frozenset(needed)
        self._checks = {**needed, **helpful}
        self._running: dict[str, asyncio.Future[object]] = {}

    def __call__(self) -> HealthReport:
        """Return whether each part answers within two seconds, and all that are needed do."""
        return asyncio.run_coroutine_threadsafe(self._ask(), self._loop).result()

    async def _ask(self) -> HealthReport:
        answers = await asyncio.gather(*map(self._is_well, self._checks))
        parts = dict(zip(self._checks, answers, strict=True))
        return HealthReport(all(parts[name] for name in self._needed), parts)

    async def _is_well(self, name: str) -> bool:
        # A part that hangs is asked once, however often its health is: the check may not even be
        # cancelled, since a driver that cleans up after it would hang as well.
        check = self._running.get(name)
        if check is None or check.done():
            check = self._running[name] = asyncio.ensure_future(self._checks[name]())
            check.add_done_callback(_succeeded)  # Nobody may be waiting for it any more.
        done, _ = await asyncio.wait([check], timeout=_TIMEOUT)
        return bool(done) and _succeeded(check)


def _succeeded(check: asyncio.Future[object]) -> bool:
    """Return whether a check that has ended found its part well; its error is no news then."""
    return not check.cancelled() and check.exception() is None
