"""Whether the server is well."""

import asyncio
import gc

import pytest

from server import health as module
from server.health import Health, HealthReport


async def _well() -> None:
    return None


async def _ill() -> None:
    raise ConnectionError


async def test_what_is_needed_decides() -> None:
    """The server is well without a part that only helps, and not without one that it needs."""
    loop = asyncio.get_running_loop()
    lame = Health(loop, needed={"database": _well}, helpful={"redis": _ill})
    dead = Health(loop, needed={"database": _ill}, helpful={"redis": _well})

    assert await asyncio.to_thread(lame) == HealthReport(True, {"database": True, "redis": False})
    assert await asyncio.to_thread(dead) == HealthReport(False, {"database": False, "redis": True})


async def test_a_part_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that does not answer is ill after a while, asked once, and well when it answers."""
    monkeypatch.setattr(module, "_TIMEOUT", 0.05)
    asked = 0
    released = asyncio.Event()

    async def hang() -> None:
        nonlocal asked
        asked += 1
        await released.wait()

    health = Health(asyncio.get_running_loop(), needed={"database": hang}, helpful={})
    reports = [await asyncio.to_thread(health) for _ in range(3)]
    assert asked == 1
    released.set()
    recovered = await asyncio.to_thread(health)

    assert [report.well for report in reports] == [False, False, False]
    assert recovered.well


async def test_a_failure_that_nobody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that fails, or is cancelled, after its time is no error of the event loop's."""
    monkeypatch.setattr(module, "_TIMEOUT", 0.05)
    loop = asyncio.get_running_loop()
    complaints: list[object] = []
    monkeypatch.setattr(loop, "call_exception_handler", complaints.append)
    released = asyncio.Event()

    async def fail_late() -> None:
        await released.wait()
        raise ConnectionError

    async def be_cancelled_late() -> None:
        await released.wait()
        raise asyncio.CancelledError

    health = Health(loop, needed={"one": fail_late, "other": be_cancelled_late}, helpful={})
    assert await asyncio.to_thread(health) == HealthReport(False, {"one": False, "other": False})
    released.set()
    await asyncio.sleep(0.05)
    del health
    gc.collect()
    assert not complaints
