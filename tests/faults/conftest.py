"""What tests share that break parts of a running service."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.workers import Stores, running_stores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder; faults of other folders are marked there."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.fault)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stores]:
    """Databases that servers share; whoever breaks one mends it."""
    async with running_stores(tmp_path_factory.mktemp("stores")) as stores:
        yield stores
