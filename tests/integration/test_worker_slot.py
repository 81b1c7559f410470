"""What becomes of a worker that ends, with small programs in a worker's place."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from server.workers import WorkerCannotStart, WorkerCommand
from server.workers import slot as module
from server.workers.slot import WorkerSlot
from tests.support.chain_server import eventually

# What a worker does is in a file, which may change between one start and the next.
PROGRAM = """
import os, signal, sys, time
does = open(sys.argv[1]).read().split()
if does[0] == "exit":
    sys.exit(int(does[1]))
if does[0] == "close":
    os.close(1)
    time.sleep(0.2)
    os._exit(int(does[1]))
if does[0] == "ignore":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if does[0] == "babble":
    print("x" * 100_000, flush=True)
if does[0] == "await":
    open(does[1] + ".begun", "w").close()
while does[0] == "await" and not os.path.exists(does[1]):
    time.sleep(0.01)
if does[0] not in {"hang", "babble"}:
    print('{"target": "here", "admin": "%d"}' % os.getpid(), flush=True)
while os.read(0, 1):
    pass
"""


class Place:
    """A slot, and what the worker in it does."""

    def __init__(self, folder: Path, *, does: str, stop_seconds: float = 30) -> None:
        self._others = psutil.Process().children()
        self._file = folder / "does"
        self.does(does)
        self.served = asyncio.Event()
        self.slot = WorkerSlot(
            7,
            WorkerCommand((sys.executable, "-Ic", PROGRAM, str(self._file)), {}),
            served=self.served,
            stop_seconds=stop_seconds,
        )

    def does(self, what: str) -> None:
        """Have workers do this from the next start on."""
        self._file.write_text(what)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator["asyncio.Task[None]"]:
        """Keep a worker in the slot while the body runs; no process is left afterwards."""
        task = asyncio.create_task(self.slot.keep())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.slot.stop()
            assert not self.children()

    def children(self) -> list[int]:
        """Return the process ids of this process's children but those of other tests' servers."""
        return [child.pid for child in psutil.Process().children() if child not in self._others]

    async def ready(self, *, other_than: int | None = None) -> int:
        """Wait for a worker that is ready, not the one of this process id; return its own."""
        await becomes(lambda: self.slot.status.ready and self.slot.status.pid != other_than)
        pid = self.slot.status.pid
        assert pid is not None
        assert self.slot.status.admin == str(pid)
        return pid


becomes = partial(eventually, timeout=30)


async def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    """Another process takes the place of one that was killed, and the restart is counted."""
    place = Place(tmp_path, does="serve")
    async with place.kept():
        first = await place.ready()
        assert place.slot.status.restarts == 0
        os.kill(first, signal.SIGKILL)
        await place.ready(other_than=first)
        assert place.slot.status.restarts == 1


async def test_a_worker_has_a_session_and_a_pipe(tmp_path: Path) -> None:
    """Signals of the terminal don't reach it; it knows by its stdin that the supervisor is gone."""
    place = Place(tmp_path, does="serve")
    async with place.kept():
        pid = await place.ready()
        assert os.getsid(pid) == pid
        assert psutil.Process(pid).cmdline()[-2:] == ["--number", "7"]
        [worker] = place.slot._alive
        stdin = worker._process.stdin
        assert stdin is not None
        stdin.close()
        assert await worker.wait_ended() == 0


@pytest.mark.parametrize("does", ["exit 1", "exit 2", "close 2"])
async def test_a_reason_that_lasts_is_told_at_the_start(tmp_path: Path, does: str) -> None:
    """Before any worker was ready, one that refuses to start is not tried again."""
    place = Place(tmp_path, does=does)
    async with place.kept() as keeping:
        with pytest.raises(WorkerCannotStart) as refused:
            await keeping
        assert refused.value.status == int(does.split()[1])


@pytest.mark.parametrize("first", [f"exit {os.EX_TEMPFAIL}", "exit 143", "hang", "babble"])
async def test_what_may_pass_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """A database that isn't there yet, a signal or a start that hangs is no reason to give up."""
    monkeypatch.setattr(module, "START_SECONDS", 0.2)
    place = Place(tmp_path, does=first)
    async with place.kept():
        await becomes(lambda: place.slot.status.restarts >= 1)
        assert not place.served.is_set()
        monkeypatch.undo()
        place.does("serve")
        await place.ready()


async def test_nobody_gives_up_once_there_was_service(tmp_path: Path) -> None:
    """After the first service every end is followed by a start, until one succeeds."""
    place = Place(tmp_path, does="serve")
    async with place.kept():
        first = await place.ready()
        place.does("exit 2")
        os.kill(first, signal.SIGKILL)
        await becomes(lambda: place.slot.status.restarts >= 2)
        assert place.slot.status.admin is None
        place.does("serve")
        await place.ready()


async def test_a_replacement_comes_first(tmp_path: Path) -> None:
    """The old worker ends after the new one is ready, and that counts as no restart."""
    place = Place(tmp_path, does="serve")
    async with place.kept():
        old = await place.ready()
        replacing = asyncio.create_task(place.slot.replace())
        await place.ready(other_than=old)
        assert await replacing
        assert not psutil.pid_exists(old)
        assert place.slot.status.restarts == 0


async def test_a_replacement_of_a_worker_that_dies(tmp_path: Path) -> None:
    """When the old worker dies while the new one gets ready, the new one has its place at once."""
    place, awaited = Place(tmp_path, does="serve"), tmp_path / "awaited"
    async with place.kept():
        old = await place.ready()
        place.slot._backoff._ceiling = 1e6
        place.does(f"await {awaited}")
        replacing = asyncio.create_task(place.slot.replace())
        await becomes(lambda: len(place.slot._alive) == 2)
        os.kill(old, signal.SIGKILL)
        await becomes(lambda: place.slot.status.pid is None)
        [new] = place.slot._alive
        awaited.touch()
        assert await replacing
        assert await place.ready() == new.pid
        await becomes(lambda: place.slot.status.restarts == 1)

        # It is kept like any other.
        place.slot._backoff._ceiling = 0.2
        os.kill(new.pid, signal.SIGKILL)
        await place.ready(other_than=new.pid)


async def test_a_replacement_of_one_that_is_being_started(tmp_path: Path) -> None:
    """A worker that is ready has the place before one that was begun after the old one's death."""
    place, awaited = Place(tmp_path, does="serve"), tmp_path / "awaited"
    async with place.kept():
        old = await place.ready()
        place.does(f"await {awaited}")
        replacing = asyncio.create_task(place.slot.replace())
        await becomes(lambda: len(place.slot._alive) == 2)
        await becomes(awaited.with_suffix(".begun").exists)
        place.does("hang")
        [new] = [worker for worker in place.slot._alive if worker.pid != old]
        os.kill(old, signal.SIGKILL)
        await becomes(lambda: place.slot.status.pid not in {None, old})
        awaited.touch()
        assert await replacing
        assert await place.ready() == new.pid
        await becomes(lambda: place.children() == [new.pid])


@pytest.mark.parametrize("does", ["exit 1", "hang"])
async def test_the_old_worker_serves_on_without_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    """A new worker that doesn't get ready takes nobody's place, and is gone."""
    place = Place(tmp_path, does="serve")
    async with place.kept():
        old = await place.ready()
        monkeypatch.setattr(module, "START_SECONDS", 0.2)
        place.does(does)
        assert not await place.slot.replace()
        assert place.slot.status.ready
        assert place.slot.status.pid == old
        await becomes(lambda: place.children() == [old])


async def test_a_replacement_ends_the_wait_of_a_failed_one(tmp_path: Path) -> None:
    """What waits for its next try is tried at once when workers are to be replaced."""
    place = Place(tmp_path, does="serve")
    async with place.kept():
        first = await place.ready()
        place.slot._backoff._ceiling = 1e6
        os.kill(first, signal.SIGKILL)
        await becomes(lambda: place.slot.status.pid is None)
        assert await place.slot.replace()
        await place.ready()


async def test_a_stubborn_worker_is_killed(tmp_path: Path) -> None:
    """A worker that doesn't end in time doesn't keep the others from it."""
    place = Place(tmp_path, does="ignore", stop_seconds=0.2)
    async with place.kept():
        pid = await place.ready()
    assert not psutil.pid_exists(pid)


async def test_a_machine_without_room_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no process can be started, that is tried again too."""
    place = Place(tmp_path, does="serve")
    monkeypatch.setattr(place.slot, "_command", WorkerCommand(("/no/such/program",), {}))
    async with place.kept():
        await becomes(lambda: place.slot.status.restarts >= 1)
        monkeypatch.undo()
        await place.ready()
