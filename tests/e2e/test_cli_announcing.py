"""Commands that change a merchant, while a server keeps answers about it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from patron.analytics.v1.analytics_pb2 import Period, ReportBasis
from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest
from tests.support.command_line import patron
from tests.support.service import Client, Service, running_service

SUMMARY = GetSummaryRequest(period=Period(from_day="2026-01-01", to_day="2026-01-31"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that commands and a server work on."""
    return tmp_path_factory.mktemp("own") / "data"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_service(data: Path) -> AsyncIterator[Service]:
    """The server."""
    async with running_service(data) as service:
        yield service


async def command(*arguments: str | Path) -> None:
    """Run a command as a process, which must succeed."""
    outcome = await asyncio.to_thread(patron, *arguments)
    assert outcome.returncode == 0, outcome.stderr


async def basis(client: Client, *, cached: bool) -> ReportBasis:
    """Return what a summary stands on, which must or must not be a kept one."""
    call = client.analytics.GetSummary(SUMMARY)
    answer = await call
    told = dict(await call.trailing_metadata())
    assert told["patron-cache"] == ("hit" if cached else "miss")
    assert told["patron-revision"] == answer.basis.revision
    found: ReportBasis = answer.basis
    return found


async def test_changed_settings_are_seen_at_once(own_service: Service, data: Path) -> None:
    """After `merchant set` no server answers with the time zone of before."""
    async with own_service.client() as client:
        await basis(client, cached=False)
        assert (await basis(client, cached=True)).time_zone == "America/New_York"
        merchant = str(client.merchant_id)
        await command("merchant", "set", merchant, "--time-zone", "Asia/Tokyo", "--data-dir", data)
        assert (await basis(client, cached=False)).time_zone == "Asia/Tokyo"


async def test_rebuilt_totals_are_seen_at_once(own_service: Service, data: Path) -> None:
    """After `db rebuild` no server answers from the totals of before."""
    async with own_service.client() as client:
        await basis(client, cached=False)
        before = await basis(client, cached=True)
        merchant = str(client.merchant_id)
        await command("db", "rebuild", "--merchant", merchant, "--data-dir", data)
        assert (await basis(client, cached=False)).revision != before.revision
