"""The controller on a real Unleash, PostgreSQL and Prometheus, with made-up metrics."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from flags.rollout import phases
from flags.rollout.controller import Controller
from flags.rollout.moving import carry_out
from flags.rollout.plan import Phase
from flags.rollout.prometheus import PrometheusEvidence
from flags.rollout.state import State, Status
from server.storage.rollouts import PostgresRollouts
from tests.support.prometheus import needs_prometheus, prometheus, scraped
from tests.support.rollout_ports import FLAG, PLAN, MemoryRollouts, MemorySwitch
from tests.support.service import Service
from tests.support.unleash import Unleash, switch_of
from tests.support.waiting import until

GATED = "patron.analytics.v1.AnalyticsService"
OTHER = "patron.bill.v1.BillService"


class Calls:
    """Calls of both arms that a server tells of."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        common = ["grpc_type", "grpc_service", "feature", "arm"]
        self._ended = Counter(
            "grpc_server_handled", "x", [*common, "grpc_code"], registry=self.registry
        )
        self._seconds = Histogram(
            "grpc_server_handling_seconds", "x", common, buckets=(1, 2), registry=self.registry
        )
        self.count(0, 0)

    def count(self, good: int, failed: int) -> None:
        """Count quick calls that ended; of the gated ones some failed."""
        for service, arm, fails in (
            (GATED, "treatment", failed),
            (OTHER, "treatment", 0),
            (OTHER, "control", 0),
        ):
            labels = ("unary", service, "customer-analytics", arm)
            self._ended.labels(*labels, "OK").inc(good)
            self._ended.labels(*labels, "INTERNAL").inc(fails)
            seconds = self._seconds.labels(*labels)
            for _ in range(good // 20):
                seconds.observe(0.5)


@asynccontextmanager
async def calling(calls: Calls, good: int, failed: int) -> AsyncIterator[None]:
    """Go on counting so many calls every tenth of a second."""

    async def call() -> None:
        while True:
            calls.count(good, failed)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(call())
    try:
        yield
    finally:
        task.cancel()


@asynccontextmanager
async def controlling(make: Callable[[], Controller]) -> AsyncIterator[None]:
    """Run a controller."""
    stop = asyncio.Event()
    task = asyncio.create_task(make().run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


@pytest.mark.fault
@pytest.mark.slow
@needs_prometheus
async def test_phases_of_seconds(unleash: Unleash, service: Service) -> None:
    """Healthy calls bring all merchants in; errors, the last good phase back; a person wins."""
    flag = unleash.new_flag(name=f"flag-{uuid4()}")
    switch = switch_of(unleash)
    plan = replace(
        PLAN,
        flag=flag,
        phases=tuple(Phase(percent, 2) for percent in (10, 50, 100)),
        look_every=0.3,
        breaker=replace(PLAN.breaker, look_every=1, least_errors=10**9),
    )
    calls = Calls()
    with scraped(calls.registry) as address, prometheus({"patron": [address]}) as running:
        await asyncio.to_thread(running.wait_for_targets, 1)
        async with PostgresRollouts.connect(service.urls.maintenance) as store:
            evidence = PrometheusEvidence(plan, running.url)

            def controller() -> Controller:
                return Controller(
                    plan,
                    switch=switch,
                    evidence=evidence,
                    store=store,
                    holder=str(uuid4()),
                    report=lambda error, flag: None,
                )

            async def state() -> State:
                saved = await store.load(flag)
                assert saved
                return saved.state

            async def act(action: Any, **given: Any) -> None:
                saved = await store.load(flag)
                move = action(
                    plan,
                    saved.state if saved else None,
                    found=(await switch.read(flag)).percent,
                    at=time.time(),
                    actor="anna",
                    reason="a test",
                    **given,
                )
                await carry_out(
                    move,
                    found=(await switch.read(flag)).percent,
                    version=saved.version if saved else None,
                    store=store,
                    switch=switch,
                )

            def reached(status: Status, percent: int) -> Any:
                async def is_so() -> bool:
                    now = await state()
                    return (now.status, now.percent) == (status, percent)

                return is_so

            kinds = await evidence.known_kinds(time.time(), accepted_since=None)
            await act(phases.start, known_kinds=kinds)
            async with controlling(controller):
                async with calling(calls, 2_000, 0):
                    await until(reached(Status.RUNNING, 50), timeout=30)
                async with calling(calls, 2_000, 200):
                    await until(reached(Status.STOPPED, 10), timeout=30)
            assert unleash.share(flag) == "10"

            # The last errors are scraped by then: they are none of the next rollout.
            await asyncio.sleep(2.5)
            await act(phases.start, known_kinds=())
            async with controlling(controller), controlling(controller), calling(calls, 2_000, 0):
                await until(reached(Status.COMPLETED, 100), timeout=60)
            assert unleash.share(flag) == "100"
            actions = [entry.action for entry in (await state()).history]
            assert actions == [
                "start",
                "promote",
                "roll back",
                "start",
                "promote",
                "promote",
                "complete",
            ]

            await switch.move(flag, expected=100, percent=0)
            await act(phases.start, known_kinds=())
            async with controlling(controller):
                unleash.set_share(flag, 33)
                await until(reached(Status.PAUSED, 33))
                await asyncio.sleep(1)
            assert unleash.share(flag) == "33"
            assert "33" in ((await state()).paused or "")


@pytest.mark.fault
@needs_prometheus
async def test_a_server_that_is_not_scraped_holds() -> None:
    """One of two is gone in mid-phase: no number of good calls goes on, but bad ones go back."""
    plan = replace(
        PLAN,
        phases=(Phase(10, 6), Phase(100, 6)),
        look_every=0.2,
        breaker=replace(PLAN.breaker, look_every=0.5, least_errors=10**9),
    )
    calls, switch, store = Calls(), MemorySwitch(), MemoryRollouts(time.time)
    told: list[str] = []
    with ExitStack() as other, scraped(calls.registry) as address:
        addresses = [address, other.enter_context(scraped(Calls().registry))]
        with prometheus({"patron": addresses}) as running:
            await asyncio.to_thread(running.wait_for_targets, 2)
            begun = time.time()
            move = phases.start(
                plan, None, found=0, at=begun, actor="anna", reason="a test", known_kinds=()
            )
            await carry_out(move, found=0, version=None, store=store, switch=switch)
            controller = Controller(
                plan,
                switch=switch,
                evidence=PrometheusEvidence(plan, running.url),
                store=store,
                holder="a",
                report=lambda error, _: told.append(str(error)),
            )

            async def holds() -> bool:
                return any(addresses[1] in each for each in told)

            async def is_back() -> bool:
                return switch.percent == 0

            async with controlling(lambda: controller):
                async with calling(calls, 2_000, 0):
                    await asyncio.sleep(1)
                    other.close()
                    await until(holds, timeout=20)
                assert time.time() > begun + 6
                assert switch.percent == 10
                async with calling(calls, 2_000, 200):
                    await until(is_back, timeout=20)
    saved = await store.load(FLAG)
    assert saved is not None
    assert saved.state.history[-1].action == "roll back"
