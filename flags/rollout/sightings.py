"""Which share each worker decides by: what its own metrics say."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from flags.rollout.prometheus_api import PrometheusApi, PrometheusFailed, Series
from flags.rollout.servers import UP

_PERCENT: Final = "patron_feature_rollout_percent"
_WORKER_UP: Final = "patron_worker_up"
_PATIENCE: Final = 5.0
_LOOK_EVERY: Final = 0.5


class WorkersUnknown(Exception):
    """Nobody can tell which workers there are; says why."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one worker says."""

    worker: str
    """Where it is."""
    percent: float | None
    """The share that it decides by; None: it doesn't say."""

    def is_at_most(self, percent: int) -> bool:
        """Return whether it lets in no more than so many merchants."""
        return self.percent is not None and self.percent <= percent


class Workers(Protocol):
    """Whoever can be asked about all workers."""

    async def ask(self, flag: str) -> list[Sighting]:
        """Return what each worker says.

        Raises:
            WorkersUnknown: They cannot be told.
        """


class WorkersAt:
    """The workers behind addresses that serve /metrics: of one each, or of a supervisor's all."""

    def __init__(self, targets: Sequence[str]) -> None:
        """Ask at these, each a host and a port."""
        self._targets = targets

    async def ask(self, flag: str) -> list[Sighting]:
        """Return what each worker says; one that doesn't answer says nothing."""
        asked = (asyncio.to_thread(_ask_target, target, flag) for target in self._targets)
        return [sighting for found in await asyncio.gather(*asked) for sighting in found]


class WorkersOfPrometheus:
    """The workers of the servers that a Prometheus knows of, by what it has scraped of them.

    What it scraped before now is no news: the workers may have followed another share in between.
    So Prometheus is a bit behind, by its interval of scraping, and more if its clock is.
    """

    def __init__(self, url: str) -> None:
        """Ask the Prometheus at this address, with its path prefix and user, if it has them."""
        self._api = PrometheusApi(url, patience=_PATIENCE)
        self._since = time.time()

    async def ask(self, flag: str) -> list[Sighting]:
        """Return what each worker said last; one that isn't reached, or hasn't said it, nothing.

        Raises:
            WorkersUnknown: Prometheus doesn't answer, or knows of no server.
        """
        return await asyncio.to_thread(self._ask, flag)

    def _ask(self, flag: str) -> list[Sighting]:
        shares = f'{_PERCENT}{{job="patron", feature="{flag}"}}'
        now = time.time()
        try:
            servers = self._api.ask(UP, now)
            workers = self._api.ask(f'{_WORKER_UP}{{job="patron"}}', now)
            told = self._api.ask(f"{shares} and timestamp({shares}) >= {self._since:.3f}", now)
        except PrometheusFailed as error:
            raise WorkersUnknown(str(error)) from error
        if not servers:
            raise WorkersUnknown(f"Prometheus knows of no server: {UP} is empty")
        percents = {_place(each): each.values[0][1] for each in told}
        of_server: dict[str, set[str]] = {_place(each)[0]: set() for each in servers}
        for instance, worker in (*map(_place, workers), *percents):
            of_server.setdefault(instance, set()).add(worker)
        return [
            _sight(instance, worker, percents.get((instance, worker)))
            for instance, numbers in sorted(of_server.items())
            for worker in _in_order(numbers or {""})
        ]


async def wait_until_seen(
    workers: Workers,
    flag: str,
    percent: int,
    *,
    patience: float,
    tell: Callable[[list[Sighting]], None],
) -> bool:
    """Return whether every worker lets in no more than a share, as soon as it is so.

    Args:
        workers: Whom to ask.
        flag: The flag.
        percent: The share.
        patience: For how many seconds to ask again.
        tell: Is given what the workers say, each time.

    Raises:
        WorkersUnknown: They cannot be told.
    """
    deadline = time.monotonic() + patience
    while True:
        found = await workers.ask(flag)
        tell(found)
        if found and all(sighting.is_at_most(percent) for sighting in found):
            return True
        if time.monotonic() + _LOOK_EVERY > deadline:
            return False
        await asyncio.sleep(_LOOK_EVERY)


def _ask_target(target: str, flag: str) -> list[Sighting]:
    try:
        text = _get(f"http://{target}/metrics").decode()
        families = list(text_string_to_metric_families(text))
    except (urllib3.exceptions.HTTPError, ValueError):
        return [Sighting(target, None)]
    samples = [sample for family in families for sample in family.samples]
    shares = {
        sample.labels.get("worker", ""): sample.value
        for sample in samples
        if sample.name == _PERCENT and sample.labels.get("feature") == flag
    }
    # A worker that is too busy to tell its metrics is still one.
    workers = {sample.labels["worker"] for sample in samples if sample.name == _WORKER_UP}
    return [
        _sight(target, worker, shares.get(worker))
        for worker in _in_order({*shares, *workers} or {""})
    ]


def _in_order(numbers: Iterable[str]) -> list[str]:
    return sorted(numbers, key=lambda number: (len(number), number))


def _place(series: Series) -> tuple[str, str]:
    """Return the server and the worker that a series is of; no worker: of the server itself."""
    return series.labels.get("instance", "?"), series.labels.get("worker", "")


def _sight(instance: str, worker: str, percent: float | None) -> Sighting:
    return Sighting(f"{instance} worker {worker}" if worker else instance, percent)


def _get(url: str) -> bytes:
    """Return what is at an address; raises HTTPError, also for another status than 200."""
    with urllib3.PoolManager(timeout=_PATIENCE, retries=False) as http:
        answer = http.request("GET", url)
    if answer.status != 200:  # noqa: PLR2004 - OK.
        raise urllib3.exceptions.HTTPError(f"HTTP {answer.status}")
    return answer.data
