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

    def __call__(self) -> HealthReport:
        """Return whether each part answers within two seconds, and all that are needed do."""
        return asyncio.run_coroutine_threadsafe(self._ask(), self._loop).result()

    async def _ask(self) -> HealthReport:
        answers = await asyncio.gather(*map(self._is_well, self._checks.values()))
        parts = dict(zip(self._checks, answers, strict=True))
        return HealthReport(all(parts[name] for name in self._needed), parts)

    @staticmethod
    async def _is_well(check: Check) -> bool:
        try:
            async with asyncio.timeout(_TIMEOUT):
                await check()
        except Exception:  # noqa: BLE001 - whatever it is, the part is not well
            return False
        return True
