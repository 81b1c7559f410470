"""Workers that are killed, replaced, stopped, or never get ready; real processes throughout."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import grpc.aio
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from server.embedded import DataDirectory
from tests.support.bills import bill_of, create_bill, creation
from tests.support.command_line import databases, eventually, serve_on, started
from tests.support.fleet import (
    RETRYING,
    Fleet,
    Ground,
    bill_ids,
    common_ground,
    log_of,
    under_load,
)
from tests.support.service import Service

pytestmark = pytest.mark.timeout(240)


async def becomes(condition: Any) -> None:
    """Wait until the condition holds, while others go on."""
    await asyncio.to_thread(eventually, condition, timeout=60)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The databases of all servers here."""
    with common_ground(tmp_path_factory.mktemp("ground")) as ground:
        yield ground


@pytest.fixture(scope="module")
def two(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers, which several tests break."""
    with ground.fleet(tmp_path_factory.mktemp("two"), "--workers", "2") as two:
        yield two
        two.running.stop()


@pytest.fixture
def service(two: Fleet, ground: Ground) -> Service:
    """The service of the two workers, both of them ready."""
    two.wait_until_all_are_ready()
    return ground.service(two.target)


async def test_one_request_on_several_workers_is_one_bill(two: Fleet, service: Service) -> None:
    """Fifty clients that send one request at once, to all workers, all get the same bill."""
    before = two.metric("grpc_server_handled_total")
    merchant = await service.create_merchant()
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(service.client(merchant, options=RETRYING))
            for _ in range(50)
        ]
        request = creation(bill_of(paid_minor=1000), uuid4())
        answers = await asyncio.gather(
            *(client.bills.CreateBill(request, timeout=60) for client in clients)
        )
    assert all(answer == answers[0] for answer in answers)
    assert await bill_ids(service, merchant) == [UUID(answers[0].bill.id)]
    after = two.metric("grpc_server_handled_total")
    assert all(after[worker] > before.get(worker, 0) for worker in (0, 1))


async def test_a_killed_worker_comes_back(two: Fleet, service: Service) -> None:
    """Its clients go to the others; the metrics of these go on, its own start over."""
    restarts = two.metric("patron_worker_restarts_total")
    async with under_load(service) as load:
        victim = two.workers[0]
        before = two.metric("grpc_server_started_total")
        victim.kill()
        await load.advances()
        await asyncio.to_thread(two.wait_until_all_are_ready)
        await load.advances()
    assert two.workers[0] != victim
    assert two.metric("grpc_server_started_total")[1] >= before[1]
    assert two.metric("patron_worker_restarts_total") == {0: restarts[0] + 1, 1: restarts[1]}
    assert two.metric("process_start_time_seconds")[0] > victim.create_time()
    assert all(rss > 1e7 for rss in two.metric("patron_worker_resident_memory_bytes").values())


async def test_workers_are_replaced_under_load(two: Fleet, service: Service) -> None:
    """On SIGHUP every worker makes way for a new one, and clients that retry see nothing of it."""
    old, restarts = two.workers, two.metric("patron_worker_restarts_total")
    async with under_load(service) as load:
        two.running.process.send_signal(signal.SIGHUP)
        await becomes(lambda: not any(worker.is_running() for worker in old.values()))
        await load.advances()
    assert two.workers.keys() == old.keys()
    assert two.metric("patron_worker_up") == {0: 1, 1: 1}
    assert two.metric("patron_worker_restarts_total") == restarts


def test_health_and_logs_tell_the_workers_apart(two: Fleet, service: Service) -> None:
    """/healthz tells of each worker and its parts; every line of a worker has its number."""
    well = {"status": "ok", "parts": {"database": "ok", "redis": "ok"}}
    assert two.health() == (200, {"status": "ok", "workers": {"0": well, "1": well}})
    told = log_of(two.running, "serving")
    assert {line.get("worker") for line in told} == {0, 1, None}


async def test_a_watch_of_health_keeps_nobody_from_stopping(ground: Ground, tmp_path: Path) -> None:
    """On SIGTERM a watch is told and ended; the time of grace is for calls that do something."""
    with ground.fleet(tmp_path, PATRON_STOP_GRACE_SECONDS="3600") as fleet:
        async with grpc.aio.insecure_channel(fleet.target) as channel:
            stub: Any = HealthStub(channel)
            watch = stub.Watch(HealthCheckRequest())
            assert (await watch.read()).status == HealthCheckResponse.SERVING
            fleet.running.process.send_signal(signal.SIGTERM)
            assert (await watch.read()).status == HealthCheckResponse.NOT_SERVING
            assert await watch.read() is grpc.aio.EOF
            assert await asyncio.to_thread(fleet.running.process.wait, 60) == 0


@asynccontextmanager
async def locked(service: Service, merchant_id: UUID) -> AsyncIterator[None]:
    """Hold the row of a merchant, for which every write of it waits, while the body runs."""
    owner = service.urls.owner.replace("patron_owner", "postgres")
    async with service.database(owner) as database, database.transaction():
        lock = "SELECT FROM merchant WHERE merchant_id = $1 FOR UPDATE"
        await database.execute(lock, merchant_id)
        yield


async def writer_waits(service: Service) -> None:
    """Wait until a write waits for the lock of another."""
    owner = service.urls.owner.replace("patron_owner", "postgres")
    async with service.database(owner) as database:
        deadline = time.monotonic() + 30
        while not await database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert time.monotonic() < deadline, "nothing waits"
            await asyncio.sleep(0.02)


async def test_a_stop_lets_clean_up_end(ground: Ground, tmp_path: Path) -> None:
    """A write whose call was given up at the end of the grace is finished, in spite of signals."""
    with ground.fleet(
        tmp_path, PATRON_STOP_GRACE_SECONDS="0.2", PATRON_LOCK_TIMEOUT_SECONDS="60"
    ) as fleet:
        service = ground.service(fleet.target)
        merchant = await service.create_merchant()
        async with service.client(merchant) as client:
            async with locked(service, merchant):
                call = asyncio.ensure_future(create_bill(client, paid_minor=1000))
                await writer_waits(service)
                for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    fleet.running.process.send_signal(number)
                with pytest.raises(grpc.aio.AioRpcError) as given_up:
                    await call
                assert given_up.value.code() in {
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.CANCELLED,
                }
                fleet.running.process.send_signal(signal.SIGTERM)
                assert fleet.running.process.poll() is None
            assert await asyncio.to_thread(fleet.running.process.wait, 60) == 0
        assert len(await bill_ids(service, merchant)) == 1
        assert "Traceback" not in fleet.running.errors
        assert not log_of(fleet.running, "a worker did not stop and is killed")


@pytest.mark.slow
def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    """After a kill -9 the workers see that they are alone; the last one stops the databases."""
    with started(*serve_on(tmp_path), "--workers", "2") as running:
        server = running.serves(tmp_path)
        fleet = Fleet(running, target=server.target, admin=server.admin)
        fleet.wait_until_all_are_ready()
        workers = fleet.workers
        assert len(workers) == 2
        assert databases(tmp_path)
        running.process.kill()
        eventually(lambda: not any(worker.is_running() for worker in workers.values()))
        eventually(lambda: not databases(tmp_path))
    assert DataDirectory(tmp_path).running_server() is None


@pytest.mark.slow
def test_a_closed_terminal_stops_the_server(ground: Ground, tmp_path: Path) -> None:
    """SIGHUP of a terminal that is gone leaves no server behind that nobody can stop."""
    terminal, stdin = os.openpty()
    with started(*serve_on(tmp_path), variables=ground.variables, stdin=stdin) as running:
        os.close(stdin)
        eventually(lambda: bool(log_of(running, "serving")), timeout=60)
        running.process.send_signal(signal.SIGHUP)
        assert running.process.wait(60) == 0, running.errors
    os.close(terminal)


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_stopping_one_of_two_servers_fails_no_call(
    ground: Ground, tmp_path: Path, transport: str
) -> None:
    """On SIGTERM under load a server drains: clients that retry go to the other one in time."""
    with (
        ground.fleet(tmp_path / "1", PATRON_DRAIN_SECONDS="1", PATRON_TRANSPORT=transport) as first,
        ground.fleet(tmp_path / "2", PATRON_TRANSPORT=transport) as second,
    ):
        both = f"ipv4:{first.target},{second.target}"
        async with under_load(ground.service(both)) as load:
            served = second.metric("grpc_server_handled_total").get(0, 0)
            first.running.process.send_signal(signal.SIGTERM)
            await becomes(lambda: first.running.process.poll() is not None)
            await load.advances()
        assert first.running.process.returncode == 0
        assert second.metric("grpc_server_handled_total")[0] > served


@contextmanager
def crashing(ground: Ground, folder: Path) -> Iterator[tuple[Fleet, Path]]:
    """Run two workers of which no new one can start, for want of a file; lend its path too."""
    keys = folder / "jwks.json"
    text = Path(ground.variables["PATRON_AUTH_JWKS_FILE"]).read_text()
    keys.write_text(text)
    variables = {"PATRON_AUTH_JWKS_FILE": str(keys)}
    with ground.fleet(folder / "data", "--workers", "2", **variables) as fleet:
        keys.unlink()
        for worker in fleet.workers.values():
            worker.kill()
        yield fleet, keys
        keys.write_text(text)
        fleet.wait_until_all_are_ready()
        assert fleet.health()[0] == 200
        fleet.running.stop()


@pytest.mark.slow
def test_workers_that_crash_again_and_again(ground: Ground, tmp_path: Path) -> None:
    """They are tried ever less often, health tells it, nobody else gets the port; all recover."""
    with crashing(ground, tmp_path) as (fleet, _):
        eventually(lambda: min(fleet.metric("patron_worker_restarts_total").values()) >= 4)
        status, body = fleet.health()
        assert status == 503
        assert body["status"] == "failing"
        assert set(body["workers"]) == {"0", "1"}
        assert fleet.metric("patron_worker_up") == {0: 0, 1: 0}
        host, _, port = fleet.target.rpartition(":")
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                thief.bind((host, int(port)))
        for worker in (0, 1):
            waits = [
                line["restart_in"]
                for line in log_of(fleet.running, "a worker ended")
                if line["worker"] == worker
            ]
            for wait, ceiling in zip(waits, (0.2, 0.4, 0.8, 1.6, 3.2), strict=False):
                assert ceiling / 2 <= wait <= ceiling


@pytest.mark.slow
def test_a_roll_that_fails_leaves_the_old_workers(ground: Ground, tmp_path: Path) -> None:
    """When no new worker gets ready, SIGHUP changes nothing, and says so in the log."""
    keys = tmp_path / "jwks.json"
    keys.write_text(Path(ground.variables["PATRON_AUTH_JWKS_FILE"]).read_text())
    variables = {"PATRON_AUTH_JWKS_FILE": str(keys)}
    with ground.fleet(tmp_path / "data", "--workers", "2", **variables) as fleet:
        old = fleet.workers
        keys.unlink()
        fleet.running.process.send_signal(signal.SIGHUP)
        told = "a new worker did not get ready; the old ones serve on"
        eventually(lambda: bool(log_of(fleet.running, told)), timeout=60)
        assert fleet.workers == old
        assert fleet.health()[0] == 200
        fleet.running.stop()


@pytest.mark.slow
def test_a_database_that_is_not_there_yet_is_waited_for(ground: Ground, tmp_path: Path) -> None:
    """Without its database a server is not ready, but goes on trying; a wrong setting ends it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {
        **ground.variables,
        "PATRON_DATABASE_URL": f"postgresql://patron_serving@127.0.0.1:{port}/patron",
    }
    with started(*serve_on(tmp_path), variables=variables) as running:
        eventually(lambda: len(log_of(running, "a worker ended")) >= 3, timeout=60)
        assert running.process.poll() is None
        assert {line["status"] for line in log_of(running, "a worker ended")} == {75}
        running.stop()
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({"keys": []}))
    variables = {**ground.variables, "PATRON_AUTH_JWKS_FILE": str(broken)}
    with started(*serve_on(tmp_path), variables=variables) as running:
        assert running.process.wait(60) == 2
        assert "PATRON_AUTH_JWKS_FILE names keys that cannot be used" in running.errors
        assert "Traceback" not in running.errors
