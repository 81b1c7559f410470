"""Whether Prometheus reaches the servers, and has reached them all along."""

import asyncio
import math
from typing import Final

from flags.rollout.evidence import EvidenceMissing, Reading, Span
from flags.rollout.prometheus_api import PrometheusApi, PrometheusFailed, Series

UP: Final = 'up{job="patron"}'
"""Whether each server is reached; the rollout files and the alerts know them by this job, too."""

_LEAST_REACHED: Final = 0.9
"""In which share of a phase every server must have been reached."""
_MOMENTS: Final = 100
"""At how many moments of a phase that is looked at."""


class Servers:
    """The servers, as Prometheus has them: those that it has tried to scrape of late."""

    def __init__(self, api: PrometheusApi, *, patience: float) -> None:
        """Ask a Prometheus; a server is reached if a scrape of the last `patience` seconds was."""
        self._api = api
        self._up = f"max_over_time({UP}[{max(1, math.floor(patience))}s])"

    async def require(self, at: float) -> list[Reading]:
        """Make sure that a server is reached at a time; return how that was asked.

        Raises:
            EvidenceMissing: None is, or Prometheus doesn't tell.
        """
        _, reading = await self._find_unreached(at)
        return [reading]

    async def find_gaps(self, phase: Span) -> tuple[tuple[str, ...], list[Reading]]:
        """Return why more may have happened in a phase than was counted, and how that was asked.

        A server that is taken out of service, or out of Prometheus' configuration, is no gap: it
        is known of for as long as it was there.

        Raises:
            EvidenceMissing: No server is reached now, or Prometheus doesn't tell.
        """
        unreached, reading = await self._find_unreached(phase.until)
        gaps = [f"Prometheus does not reach {', '.join(unreached)}."] if unreached else []
        step = max(1, math.floor(phase.seconds / _MOMENTS))
        seconds = max(step, math.floor(phase.seconds))
        # While Prometheus itself was away it reached nobody.
        text = f"avg_over_time((min({self._up}) or vector(0))[{seconds}s:{step}s])"
        [found] = await self._ask(text, phase.until)
        reached = found.values[0][1]
        if reached < _LEAST_REACHED:
            gaps.append(
                f"In {reached * 100:.3g} % of the phase Prometheus reached every server: it takes "
                f"{_LEAST_REACHED * 100:g} %."
            )
        return tuple(gaps), [reading, Reading(text, f"{reached:.3g}")]

    async def _find_unreached(self, at: float) -> tuple[list[str], Reading]:
        found = await self._ask(self._up, at)
        servers = {each.labels.get("instance", "?"): each.values[0][1] for each in found}
        told = "; ".join(f"{server}: {up:g}" for server, up in servers.items()) or "none"
        reading = Reading(self._up, told)
        unreached = sorted(server for server, up in servers.items() if not up)
        if not servers:
            raise EvidenceMissing(f"Prometheus knows of no server: {self._up} is empty", [reading])
        if len(unreached) == len(servers):
            raise EvidenceMissing(
                f"Prometheus reaches none of the servers: {', '.join(unreached)}", [reading]
            )
        return unreached, reading

    async def _ask(self, text: str, at: float) -> list[Series]:
        try:
            return await asyncio.to_thread(self._api.ask, text, at)
        except PrometheusFailed as error:
            raise EvidenceMissing(str(error), [Reading(text, str(error))]) from error
