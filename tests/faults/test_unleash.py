"""Unleash not there, gone, or talking nonsense: flags stay, calls do not wait, it recovers."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from domain.model.caller import Caller
from flags.deciding.snapshot import Snapshot
from flags.deciding.unleash import Unleash, UnleashFeatures, features_of
from patron.customer.v1.customer_service_pb2 import ListCustomersRequest
from patron.feature.v1.feature_service_pb2 import GetFeaturesRequest
from tests.support.chain_server import refusal
from tests.support.flag_server import MISCHIEF, FlagServer
from tests.support.flags import flag, flags_of, let_in, merchants
from tests.support.reports import MARCH
from tests.support.service import Client, Service, served
from tests.support.unleash import Unleash as RealUnleash
from tests.support.unleash import running_unleash
from tests.support.waiting import until
from tests.support.workers import Stores

FLAG = "customer-analytics"
NOWHERE = "http://127.0.0.1:9/api"
READY_SECONDS = 6.0


@asynccontextmanager
async def deciding(
    url: str, folder: Path, *, bootstrap: Snapshot | None = None, token: str = "a-token"
) -> AsyncIterator[UnleashFeatures]:
    """Decide by an Unleash, as a worker with this folder does, asking every second."""
    unleash = Unleash(url=url, token=token, refresh_seconds=1, instance="a-test")
    async with features_of(
        unleash, last_good=folder / "worker-0.json", bootstrap=bootstrap
    ) as features:
        yield features


async def is_share(features: UnleashFeatures, name: str, percent: int, within: float = 10) -> None:
    """Wait until a flag has this share."""

    async def so() -> bool:
        return features.share(name) == percent

    await until(so, within)


@asynccontextmanager
async def serving(stores: Stores, folder: Path, url: str, **options: object) -> AsyncIterator[Any]:
    """Run a server that asks an Unleash every second; lend it, and how long it took to start."""
    settings: dict[str, object] = {
        "database_url": stores.urls.serving,
        "redis_url": stores.redis_url,
        "unleash_url": url,
        "unleash_token": "a-token",
        "flags_refresh_seconds": 1,
    }
    begun = time.monotonic()
    async with served(folder, stores.urls, **settings, **options) as service:
        yield service, time.monotonic() - begun


def bootstrap_file(folder: Path, *, percent: int) -> Path:
    """Return a file that an operator exported."""
    file = folder / "bootstrap.json"
    file.write_text(json.dumps(flags_of(flag(FLAG, percent=percent))))
    return file


async def assert_closed(client: Client) -> None:
    """Assert that the gate is closed, that the app is told so, and that all else is served."""
    refused = await refusal(client.analytics.GetSummary(MARCH))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "FEATURE_DISABLED"
    await client.customers.ListCustomers(ListCustomersRequest())
    told = await client.features.GetFeatures(GetFeaturesRequest())
    assert [(each.name, each.enabled) for each in told.features] == [(FLAG, False)]


async def gauge(service: Service, name: str) -> float:
    """Return the number that a worker shows."""
    for family in text_string_to_metric_families(await service.ask_admin("/metrics")):
        for sample in family.samples:
            if sample.name == name:
                return sample.value
    raise AssertionError(name)


@pytest.mark.parametrize("hangs", [False, True], ids=["refused", "hangs"])
async def test_not_there_at_the_start(stores: Stores, tmp_path: Path, hangs: bool) -> None:
    """A start without any flags is ready on time, with every gate closed, and recovers."""
    with FlagServer() as server:
        server.mischief = "hang" if hangs else "error"
        async with serving(stores, tmp_path, server.api) as (service, seconds):
            assert seconds < READY_SECONDS
            async with service.client() as client:
                await assert_closed(client)
                server.release()
                await shows_share(service, 100)
                await client.analytics.GetSummary(MARCH)


async def test_bootstrap_and_last_good(stores: Stores, tmp_path: Path) -> None:
    """Without Unleash the last good state decides, or else the bootstrap; nobody waits for it.

    The file that comes with Patron, in which everything is on, is not read.
    """
    closed = bootstrap_file(tmp_path, percent=0)
    options = {"flags_bootstrap_file": closed}
    async with (
        serving(stores, tmp_path, NOWHERE, **options) as (service, _),
        service.client() as client,
    ):
        await assert_closed(client)
    with FlagServer(percent=100) as server:
        async with serving(stores, tmp_path, server.api, **options) as (service, _):
            await shows_share(service, 100)
        server.mischief = "hang"
        async with (
            serving(stores, tmp_path, server.api, **options) as (service, _),
            service.client() as client,
        ):
            await client.analytics.GetSummary(MARCH)
            server.release()


async def shows_share(service: Service, percent: int) -> None:
    """Wait until a worker says that it decides by this share."""

    async def so() -> bool:
        return await gauge(service, "patron_feature_rollout_percent") == percent

    await until(so)


async def test_hangs_later(stores: Stores, tmp_path: Path) -> None:
    """While Unleash hangs no call waits for it, and the gauge of the flags' age rises and falls."""
    with FlagServer() as server:
        async with (
            serving(stores, tmp_path, server.api) as (service, _),
            service.client() as client,
        ):
            await client.analytics.GetSummary(MARCH)
            server.mischief = "hang"
            slowest = 0.0
            while await gauge(service, "patron_flags_age_seconds") < 2.5:
                begun = time.monotonic()
                await client.analytics.GetSummary(MARCH)
                slowest = max(slowest, time.monotonic() - begun)
                await asyncio.sleep(0.01)
            assert slowest < 1
            server.release()

            async def is_fresh() -> bool:
                return await gauge(service, "patron_flags_age_seconds") < 1.5

            await until(is_fresh, 10)


async def test_mischief_changes_nothing(tmp_path: Path) -> None:
    """Whatever Unleash answers, the flags of before hold; when it is well again, its new ones."""
    await asyncio.gather(*(survive(kind, tmp_path / kind) for kind in MISCHIEF))


async def survive(kind: str, folder: Path) -> None:
    """Have Unleash misbehave in one way."""
    callers = merchants(200)
    with FlagServer(FLAG, percent=30) as server:
        async with deciding(server.api, folder) as features:
            await is_share(features, FLAG, 30)
            before = let_in(features, FLAG, callers)
            server.mischief, server.percent = kind, 60
            polls = server.polls

            async def goes_wrong() -> bool:
                return server.polls > polls and features.age > 2.2

            await until(goes_wrong, 10)
            assert features.share(FLAG) == 30
            assert let_in(features, FLAG, callers) == before

            server.release()
            await is_share(features, FLAG, 60, within=15)
            assert before < let_in(features, FLAG, callers)


async def test_counts_decisions(tmp_path: Path) -> None:
    """Unleash is told how many merchants were let in and left out, each counted once."""
    with FlagServer(FLAG, percent=50) as server:
        async with deciding(server.api, tmp_path) as features:
            await is_share(features, FLAG, 50)
            callers = merchants(100)
            inside = len(let_in(features, FLAG, callers))
            assert len(let_in(features, FLAG, callers)) == inside
        [told] = server.metrics

    assert told["bucket"]["toggles"][FLAG] == {"yes": inside, "no": 100 - inside, "variants": {}}


async def test_the_same_merchants_everywhere(unleash: RealUnleash, tmp_path: Path) -> None:
    """Of 10,000 merchants 10, 50, 100 % are let in, the same on every worker and after a restart.

    More are only added, and a rollback restores exactly those of before.
    """
    name, callers = unleash.new_flag(percent=10), merchants(10_000)
    some = callers[:2000]
    api, token = unleash.address.api, unleash.address.client_token
    found: dict[int, set[UUID]] = {}
    async with (
        deciding(api, tmp_path / "a", token=token) as first,
        deciding(api, tmp_path / "b", token=token) as second,
    ):
        for percent in (10, 50, 100, 10):
            unleash.set_share(name, percent)
            # An edit reaches a worker within the interval and two seconds.
            await asyncio.gather(*(is_share(each, name, percent, 3) for each in (first, second)))
            inside = let_in(first, name, callers)
            assert found.setdefault(percent, inside) == inside
            assert let_in(second, name, some) == inside & ids(some)
    async with deciding(NOWHERE, tmp_path / "a") as restarted:
        assert let_in(restarted, name, some) == found[10] & ids(some)

    assert {percent: len(inside) for percent, inside in found.items()} == {
        percent: pytest.approx(percent * 100, abs=150) for percent in (10, 50, 100)
    }
    assert found[10] < found[50] < found[100]


def ids(callers: list[Caller]) -> set[UUID]:
    """Return the merchants of callers."""
    return {caller.merchant_id for caller in callers}


async def test_flags_that_do_not_change_are_fresh(unleash: RealUnleash, tmp_path: Path) -> None:
    """While a real Unleash says that nothing has changed, the flags are fresh; nothing is told."""
    name = unleash.new_flag(percent=10)
    token = unleash.address.client_token
    with capture_logs() as logs:
        async with deciding(unleash.address.api, tmp_path, token=token) as features:
            await is_share(features, name, 10)
            for _ in range(16):
                await asyncio.sleep(0.25)
                assert features.age < 2

    assert logs == []


@pytest.mark.slow
async def test_a_real_outage_is_one_warning(tmp_path: Path) -> None:
    """When a real Unleash stops, the flags grow old, and that is told once."""
    with capture_logs() as logs:
        async with AsyncExitStack() as stack:
            with running_unleash(tmp_path / "unleash") as real:
                name, token = real.new_flag(percent=10), real.address.client_token
                features = await stack.enter_async_context(
                    deciding(real.address.api, tmp_path, token=token)
                )
                await is_share(features, name, 10)
                await asyncio.sleep(3)
                assert features.age < 2
                assert not logs

            async def is_old() -> bool:
                return features.age > 3.5

            await until(is_old, 10)

    assert [each["log_level"] for each in logs] == ["warning"]


@pytest.mark.slow
async def test_killed_and_started_again(stores: Stores, tmp_path: Path) -> None:
    """A real Unleash that stops and comes back is no event for the calls; its edits are seen."""
    home = tmp_path / "unleash"
    with running_unleash(home) as real:
        real.new_flag(percent=100, name=FLAG)
        port = int(real.address.web.rpartition(":")[2])
        settings = {"unleash_token": real.address.client_token}
        first = served(
            tmp_path,
            stores.urls,
            database_url=stores.urls.serving,
            redis_url=stores.redis_url,
            unleash_url=real.address.api,
            flags_refresh_seconds=1,
            **settings,
        )
        service = await first.__aenter__()
    try:
        async with service.client() as client:
            await shows_share(service, 100)
            await client.analytics.GetSummary(MARCH)
            with running_unleash(home, port=port) as real:
                real.set_share(FLAG, 0)
                await shows_share(service, 0)
                await assert_closed(client)
    finally:
        await first.__aexit__(None, None, None)
