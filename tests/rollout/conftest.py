"""What the tests of guarded rollouts share: one world, in which one rollout follows another."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.prometheus import needs_prometheus
from tests.support.rollout_world import Rollout, World, fresh_rollout, running_world


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give what is in this folder the time that it needs, on a machine that has Prometheus."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(240))
            item.add_marker(needs_prometheus)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Unleash, Prometheus, two workers and their databases, and merchants whose apps may call."""
    with running_world(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def rollout(world: World, tmp_path: Path) -> AsyncIterator[Rollout]:
    """A rollout that was never started."""
    async with fresh_rollout(world, tmp_path) as rollout:
        yield rollout
