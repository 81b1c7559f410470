"""Features decided by Unleash: UnleashClient with all that is its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Final

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from UnleashClient import UnleashClient
from UnleashClient.events import BaseEvent, UnleashEventType
from UnleashClient.utils import InstanceAllowType

from flags.deciding.cache import SnapshotCache
from flags.deciding.features import RememberingFeatures
from flags.deciding.heard import listen
from flags.deciding.last_good import LastGood
from flags.deciding.snapshot import Snapshot

_REQUEST_SECONDS: Final = 3
"""How long one request to Unleash waits for a connection, and for each part of the answer."""

_FIRST_FLAGS_SECONDS: Final = 2.0
"""How long a start without any flags waits for them."""

_PARTING_SECONDS: Final = 5.0
"""How long the end waits for what goes on: a poll, and the last counts."""

_EXECUTOR: Final = "unleash"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unleash:
    """An Unleash server, as a client of it knows it."""

    url: str
    """Its API, such as http://localhost:4242/api."""
    token: str = field(repr=False)
    """A client token."""
    refresh_seconds: int
    """How often it is asked for changes."""
    instance: str
    """What this process is called there."""


class UnleashFeatures(RememberingFeatures):
    """Decides by what Unleash told last; asking for it is done elsewhere, in other threads."""

    def __init__(self, client: UnleashClient, cache: SnapshotCache) -> None:
        super().__init__(client.is_enabled, cache.snapshot)
        self._cache = cache

    @property
    def age(self) -> float:
        """How many seconds ago Unleash told, at the last time, which flags hold."""
        return self._cache.age


@asynccontextmanager
async def features_of(
    unleash: Unleash, *, last_good: Path, bootstrap: Snapshot | None
) -> AsyncIterator[UnleashFeatures]:
    """Decide by the flags of an Unleash server, reachable or not, while the body runs.

    Until it answers, what it told the process before this one decides, or else the bootstrap, or
    else every feature is off. What it is asked for and told, decisions counted among it, goes
    through threads of its own.

    Args:
        unleash: The server.
        last_good: The file in which this worker, and no other, keeps what it was told last.
        bootstrap: What holds while the server has never been reached.
    """
    listen()
    cache = SnapshotCache(LastGood(last_good), bootstrap)

    def heard(event: BaseEvent) -> None:
        if event.event_type is UnleashEventType.FETCHED:
            features.replace(cache.snapshot)

    client = UnleashClient(
        url=unleash.url,
        app_name="patron",
        instance_id=unleash.instance,
        refresh_interval=unleash.refresh_seconds,
        custom_headers={"Authorization": unleash.token},
        request_timeout=_REQUEST_SECONDS,
        request_retries=0,
        custom_options={"hooks": {"response": cache.answered}},
        cache=cache,
        # A poll for which a busy machine has no time at once is made later, not left out.
        scheduler=BackgroundScheduler(
            executors={_EXECUTOR: ThreadPoolExecutor()},
            job_defaults={"misfire_grace_time": None},
            timezone=UTC,
        ),
        scheduler_executor=_EXECUTOR,
        multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
        event_callback=heard,
    )
    features = UnleashFeatures(client, cache)
    started = _in_thread(client.initialize_client)
    if not cache.bootstrapped:
        await _within(_FIRST_FLAGS_SECONDS, started)
    try:
        yield features
    finally:
        await _within(_PARTING_SECONDS, _in_thread(client.destroy))


def _in_thread(work: Callable[[], None]) -> asyncio.Event:
    """Do what may block in a thread that keeps no process from ending; the event tells its end."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the last flags hold
            _log.error("UnleashClient failed", kind=type(error).__name__)
        finally:
            with suppress(RuntimeError):  # Nobody has waited for so long.
                loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=run, name="unleash", daemon=True).start()
    return ended


async def _within(seconds: float, ended: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)
