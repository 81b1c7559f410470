"""Guarded rollouts with all that they take, as processes: Unleash, Prometheus, workers, load."""

import asyncio
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

from prometheus_client.parser import text_string_to_metric_families

from flags.rollout.prometheus_api import PrometheusApi
from flags.rollout.sightings import WorkersAt
from flags.rollout.state import State
from patron.feature.v1.feature_pb2 import Feedback
from patron.feature.v1.feature_service_pb2 import GetFeaturesRequest, SendFeedbackRequest
from server.embedded import processes
from server.storage.merchants import Merchants
from server.storage.rollouts import PostgresRollouts
from tests.support import injected_patron
from tests.support.command_line import Running, patron, serve_on, started
from tests.support.fleet import Fleet, Ground, common_ground, log_of, when_ready
from tests.support.injected_patron import FILE_VARIABLE, Injections
from tests.support.prometheus import Prometheus, prometheus
from tests.support.rollout_files import FLAG, write_rollout_file
from tests.support.rollout_load import Apps, RunningLoad, loaded
from tests.support.service import Service
from tests.support.unleash import Unleash, running_unleash

_T = TypeVar("_T")

REFRESH_SECONDS: Final = 1
"""How often a worker asks Unleash for changes."""

_WORKERS: Final = 2
_MERCHANTS: Final = 300
_RATE: Final = 120.0
"""How many calls a second the apps make, unless a test wants another number."""
_TOKEN_SECONDS: Final = 3600.0
_PATIENCE: Final = 90.0
"""How long to wait for what a quiet machine does in a third of it."""


@dataclass(frozen=True)
class World:
    """What rollouts of one flag happen in."""

    ground: Ground
    fleet: Fleet
    """Two workers that ask Unleash every second, and do wrong as `injections` says."""
    unleash: Unleash
    prometheus: Prometheus
    injections: Injections
    merchants: tuple[UUID, ...]

    @property
    def service(self) -> Service:
        """What makes clients."""
        return self.ground.service(self.fleet.target)

    @property
    def variables(self) -> dict[str, str]:
        """What the commands of a rollout need."""
        return {
            **_variables(self.unleash.admin_settings),
            "PATRON_DATABASE_MAINTENANCE_URL": self.ground.urls.maintenance,
            "PATRON_PROMETHEUS_URL": self.prometheus.url,
            "PATRON_ROLLOUT_ADMIN_PORT": "0",
        }

    def load(self, rate: float = _RATE) -> AbstractAsyncContextManager[RunningLoad]:
        """Have the apps of all merchants make so many calls a second while the body runs."""
        tokens = tuple(
            self.service.token(merchant, lifetime=_TOKEN_SECONDS) for merchant in self.merchants
        )
        return loaded(Apps(target=self.fleet.target, tokens=tokens, rate=rate))

    def share(self) -> int:
        """Return the share of merchants that the flag lets in, in percent."""
        return int(self.unleash.share(FLAG))

    async def becomes(self, percent: int) -> float:
        """Wait until the flag has a share; return when it was first seen, by the same clock."""

        async def seen() -> float | None:
            share = await asyncio.to_thread(self.share)
            return time.monotonic() if share == percent else None

        return await until(seen)

    async def workers_see(self, percent: int) -> float:
        """Wait until every worker decides by a share; return since when one asked and it was so."""
        workers = WorkersAt(_admins_of_workers(self.fleet))

        async def seen() -> float | None:
            asked = time.monotonic()
            shares = [each.percent for each in await workers.ask(FLAG)]
            return asked if shares == [percent] * _WORKERS else None

        return await until(seen)

    async def has_kind(self, kind: str) -> None:
        """Wait until an unexpected error of a kind is known to Prometheus."""
        query = f'patron_unexpected_error_merchants{{kind="{kind}"}} > 0'
        ask = PrometheusApi(self.prometheus.url, patience=10).ask

        async def known() -> bool | None:
            return bool(await asyncio.to_thread(ask, query, time.time())) or None

        await until(known)

    async def rate(self, rating: int, *, times: int) -> None:
        """Have merchants that have the feature give it a rating, each another."""
        given = 0
        for merchant in self.merchants:
            async with self.service.client(merchant) as client:
                feature = (await client.features.GetFeatures(GetFeaturesRequest())).features[0]
                if feature.enabled:
                    feedback = Feedback(feature=FLAG, rating=rating)
                    await client.features.SendFeedback(
                        SendFeedbackRequest(request_id=str(uuid4()), feedback=feedback)
                    )
                    given += 1
            if given == times:
                return
        raise AssertionError(f"only {given} merchants have the feature")

    @property
    def admin(self) -> str:
        """The address of the metrics of all workers."""
        return self.fleet.admin

    def shares_since(self, since: float) -> list[int]:
        """Return the shares that the flag had since a time, in order."""
        events = self.unleash.ask("GET", f"events/{FLAG}")["events"]
        shares = [
            int(event["data"]["parameters"]["rollout"])
            for event in reversed(events)
            if event["type"] == "feature-strategy-update"
            and datetime.fromisoformat(event["createdAt"]).timestamp() >= since
        ]
        # A move that two are about to end at the same time is there twice.
        return [share for share, _ in groupby(shares)]

    @contextmanager
    def prometheus_stopped(self) -> Iterator[None]:
        """Stop Prometheus; start it again, on what it knew, when the body ends."""
        self.prometheus.stop()
        try:
            yield
        finally:
            self.prometheus.start()
            self.prometheus.wait_for_targets(_WORKERS)

    @contextmanager
    def database_stopped(self) -> Iterator[None]:
        """Have the database of Patron not run, though it is there, while the body runs."""
        found = processes.working_in(self.ground.data.resolve() / "postgres", "postgres")
        for process in found:
            process.suspend()
        try:
            yield
        finally:
            for process in found:
                process.resume()


@contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """Run all of it, with the flag at 0 %."""
    file = folder / "injections.json"
    injections = Injections(file)
    injections.set()
    with (
        # Not on the databases of Patron, which a test stops.
        running_unleash(folder / "unleash") as unleash,
        common_ground(folder / "ground") as ground,
    ):
        unleash.new_flag(percent=0, name=FLAG)
        variables = _variables(unleash.settings | {"flags_refresh_seconds": REFRESH_SECONDS})
        with started(
            *(*serve_on(folder / "fleet"), "--workers", str(_WORKERS)),
            variables={**ground.variables, **variables, FILE_VARIABLE: str(file)},
            covered=False,
            program=(sys.executable, "-m", injected_patron.__name__),
        ) as running:
            fleet = when_ready(running)
            with prometheus({"patron": _admins_of_workers(fleet)}) as metrics:
                merchants = asyncio.run(_create_merchants(ground))
                metrics.wait_for_targets(_WORKERS)
                yield World(ground, fleet, unleash, metrics, injections, merchants)


def _admins_of_workers(fleet: Fleet) -> list[str]:
    """Return where each worker tells of itself.

    The supervisor, which asks them too, takes too long to tell all that they say for one who asks
    every second.
    """
    return [line["admin"] for line in log_of(fleet.running, "serving") if "worker" in line]


async def _create_merchants(ground: Ground) -> tuple[UUID, ...]:
    ids = tuple(uuid4() for _ in range(_MERCHANTS))
    async with Merchants.connect(ground.urls.maintenance) as merchants:
        for each in ids:
            await merchants.create(each, "A shop", "USD", "America/New_York", "US")
    return ids


class Controller:
    """`patron rollout run`, running."""

    def __init__(self, running: Running, admin: str) -> None:
        self.running = running
        self._admin = admin

    def metric(self, name: str, **labels: str) -> float:
        """Return the one sample of this name and these labels, beside others."""
        with urllib.request.urlopen(f"http://{self._admin}/metrics", timeout=30) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        [value] = [
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return float(value)

    def kill(self) -> None:
        """End it as if the power went."""
        self.running.process.kill()
        self.running.process.wait()


class Rollout:
    """The rollout of a test: its file, its commands, its controllers, its state."""

    def __init__(self, world: World, folder: Path, store: PostgresRollouts) -> None:
        self.world = world
        self._folder = folder
        self._store = store

    def write_file(self, **figures: Any) -> None:
        """Write the rollout file; see `write_rollout_file`."""
        write_rollout_file(self._folder, **figures)

    async def command(
        self, name: str, *arguments: str, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command of the rollout to its end."""
        return await asyncio.to_thread(
            patron,
            *("rollout", name, FLAG, *arguments),
            variables={**self._variables, **variables},
            covered=False,
        )

    async def does(self, name: str, *arguments: str) -> str:
        """Run a command, which must succeed, for a reason; return what it prints."""
        done = await self.command(name, "--reason", "a test wants it", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    async def start(self) -> None:
        """Start it."""
        await self.does("start")

    @asynccontextmanager
    async def controlled(self) -> AsyncIterator[Controller]:
        """Run a controller while the body runs, unless it is killed before."""
        with started("rollout", "run", FLAG, variables=self._variables, covered=False) as running:

            async def admin() -> str | None:
                assert running.process.poll() is None, running.errors
                told = log_of(running, "controlling")
                return str(told[0]["admin"]) if told else None

            yield Controller(running, await until(admin))

    async def state(self) -> State:
        """Return where it stands."""
        saved = await self._store.load(FLAG)
        assert saved is not None, "it was never started"
        return saved.state

    async def becomes(self, condition: Callable[[State], object]) -> State:
        """Wait until the condition holds of the state, and return that."""

        async def found() -> State | None:
            saved = await self._store.load(FLAG)
            return saved.state if saved is not None and condition(saved.state) else None

        return await until(found)

    async def looked(self, times: int = 1) -> State:
        """Wait for so many more looks, and return the state with the last of them."""
        state = await self.state()
        for _ in range(times):
            state = await self.becomes(_with_another_look(state))
        return state

    @property
    def _variables(self) -> Mapping[str, str]:
        return {
            **self.world.variables,
            "PATRON_DATA_DIR": str(self._folder / "data"),
            "PATRON_ROLLOUTS_DIR": str(self._folder),
        }


@asynccontextmanager
async def fresh_rollout(world: World, folder: Path) -> AsyncIterator[Rollout]:
    """Lend a rollout that was never started, in a world where nothing goes wrong."""
    world.injections.set()
    world.unleash.set_share(FLAG, 0)
    superuser = world.ground.urls.owner.replace("patron_owner", "postgres")
    async with world.service.database(superuser) as database:
        await database.execute("DELETE FROM rollout_lease; DELETE FROM rollout")
    await world.workers_see(0)
    async with PostgresRollouts.connect(world.ground.urls.maintenance) as store:
        yield Rollout(world, folder, store)


async def becomes(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""

    async def holds() -> bool | None:
        return await asyncio.to_thread(condition) or None

    await until(holds)


async def until(found: Callable[[], Awaitable[_T | None]]) -> _T:
    """Ask again and again until there is an answer, and return it."""
    async with asyncio.timeout(_PATIENCE):
        # Nothing tells of it: that is why it is asked.
        while (answer := await found()) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        return answer


def _with_another_look(before: State) -> Callable[[State], bool]:
    return lambda state: state.look != before.look


def _variables(settings: Mapping[str, object]) -> dict[str, str]:
    return {f"PATRON_{name.upper()}": str(value) for name, value in settings.items()}
