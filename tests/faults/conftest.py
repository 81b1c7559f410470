"""What tests share that break parts of a running service."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.workers import Stores, running_stores


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stores]:
    """Databases that servers share; whoever breaks one mends it."""
    async with running_stores(tmp_path_factory.mktemp("stores")) as stores:
        yield stores
