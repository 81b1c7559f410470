"""What tests of several kinds share."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.service import Client, Service, running_service


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """The whole service, one for all tests: each works on merchants of its own."""
    async with running_service(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Service) -> AsyncIterator[Client]:
    """A client of a new merchant: US dollars, New York time."""
    async with service.client() as client:
        yield client
