"""`patron serve` with its workers, as real processes, and clients that retry."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psutil
from prometheus_client.parser import text_string_to_metric_families

from patron.bill.v1.bill_pb2 import Bill
from server.auth.development import DevelopmentKey
from server.embedded import DatabaseUrls, EmbeddedPostgres, EmbeddedValkey
from server.storage.migrate import migrate
from tests.support.bills import bill_of, creation
from tests.support.command_line import Running, eventually, serve_on, started
from tests.support.service import Client, Service

_RETRIES: Final = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
RETRYING: Final = (
    ("grpc.service_config", json.dumps(_RETRIES)),
    # A connection of its own for each channel, so that they meet different workers.
    ("grpc.use_local_subchannel_pool", 1),
    # Of several addresses a client would make one name that servers may refuse.
    ("grpc.default_authority", "patron.test"),
)
"""What makes a channel that repeats a call which no server has answered."""


class Fleet:
    """A supervisor that runs, and its workers."""

    def __init__(self, running: Running, *, target: str, admin: str) -> None:
        self.running = running
        self.target = target
        self.admin = admin

    @property
    def workers(self) -> dict[int, psutil.Process]:
        """The processes that are there now, of two with a number the newer one."""
        children = psutil.Process(self.running.process.pid).children()
        return {
            int(child.cmdline()[-1]): child
            for child in sorted(children, key=psutil.Process.create_time)
            if "--number" in child.cmdline()
        }

    def metric(self, name: str) -> dict[int, float]:
        """Return the sums of the samples of this name, by worker."""
        sums: dict[int, float] = {}
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=30) as answer:
            for family in text_string_to_metric_families(answer.read().decode()):
                for sample in family.samples:
                    if sample.name == name:
                        worker = int(sample.labels["worker"])
                        sums[worker] = sums.get(worker, 0) + sample.value
        return sums

    def health(self) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of /healthz."""
        try:
            answer = urllib.request.urlopen(f"http://{self.admin}/healthz", timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, json.loads(answer.read())

    def wait_until_all_are_ready(self) -> None:
        """Wait until every worker is ready."""
        eventually(lambda: all(self.metric("patron_worker_up").values()), timeout=60)


@dataclass(frozen=True)
class Ground:
    """Databases and keys that servers share, and the variables that tell servers of them."""

    data: Path
    urls: DatabaseUrls
    variables: Mapping[str, str]

    def service(self, target: str) -> Service:
        """Return what makes clients of the server, or the servers, at the target."""
        signer = DevelopmentKey.open(self.data).signer(issuer="patron", audience="patron")
        return Service(target, self.urls, signer)

    @contextmanager
    def fleet(self, folder: Path, *arguments: str, **variables: str) -> Iterator[Fleet]:
        """Run a server, and wait until all of its workers are ready."""
        command = (*serve_on(folder), *arguments)
        with started(*command, variables={**self.variables, **variables}) as running:
            yield when_ready(running)


@contextmanager
def common_ground(data: Path) -> Iterator[Ground]:
    """Run databases in a data directory, with all that servers need."""
    with EmbeddedPostgres(data) as urls, EmbeddedValkey(data) as redis_url:
        asyncio.run(migrate(urls.owner))
        variables = {
            "PATRON_DATABASE_URL": urls.serving,
            "PATRON_REDIS_URL": redis_url,
            "PATRON_SECRET": "s" * 32,
            "PATRON_AUTH_JWKS_FILE": str(DevelopmentKey.open(data).jwks_path),
        }
        yield Ground(data, urls, variables)


def when_ready(running: Running) -> Fleet:
    """Wait until all workers of a server are ready, and return them."""
    told: list[dict[str, Any]] = []

    def serves() -> bool:
        assert running.process.poll() is None, running.errors
        told[:] = [line for line in log_of(running, "serving") if "worker" not in line]
        return bool(told)

    eventually(serves, timeout=60)
    fleet = Fleet(running, target=told[0]["target"], admin=told[0]["admin"])
    fleet.wait_until_all_are_ready()
    return fleet


def log_of(running: Running, event: str) -> list[dict[str, Any]]:
    """Return the lines of a server's log that tell of an event."""
    lines = (json.loads(line) for line in running.errors.splitlines() if line.endswith("}"))
    return [line for line in lines if line["event"] == event]


class Load:
    """Clients that create bills, each the next as soon as it has one, until they are stopped."""

    def __init__(self, merchant_id: UUID) -> None:
        self.merchant_id = merchant_id
        self.acknowledged: list[Bill] = []
        self.stopping = False

    async def run(self, client: Client) -> None:
        """Create bills as one client."""
        while not self.stopping:
            answer = await client.bills.CreateBill(creation(bill_of(paid_minor=1000)), timeout=60)
            self.acknowledged.append(answer.bill)

    async def advances(self, bills: int = 10) -> None:
        """Wait until so many more bills have been acknowledged."""
        enough = len(self.acknowledged) + bills
        await asyncio.to_thread(eventually, lambda: len(self.acknowledged) >= enough)


@asynccontextmanager
async def under_load(service: Service, *, clients: int = 8) -> AsyncIterator[Load]:
    """Run a load while the body runs. Not one call may fail, and each makes exactly one bill."""
    async with AsyncExitStack() as stack:
        load = Load(await service.create_merchant())
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                client = await stack.enter_async_context(
                    service.client(load.merchant_id, options=RETRYING)
                )
                group.create_task(load.run(client))
            await load.advances()
            yield load
            load.stopping = True
    created = await bill_ids(service, load.merchant_id)
    assert created == sorted(UUID(bill.id) for bill in load.acknowledged)


async def bill_ids(service: Service, merchant_id: UUID) -> list[UUID]:
    """Return the ids of a merchant's bills, in order, as the database has them."""
    async with service.database() as database:
        rows = await database.fetch(
            "SELECT bill_id FROM bill WHERE merchant_id = $1 ORDER BY bill_id", merchant_id
        )
    return [row["bill_id"] for row in rows]
