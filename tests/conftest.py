"""What tests of several kinds share."""

import signal
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from hypothesis import settings

from server.settings import Transport
from tests.support.service import Client, Service, running_service
from tests.support.unleash import Unleash, running_unleash

# How long an example takes says more of a busy machine than of the code.
settings.register_profile("patron", deadline=None)
settings.load_profile("patron")


def pytest_configure() -> None:
    """Take Ctrl-C also in the background, where a shell has it ignored: what is started would."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let one choose what carries the calls to the service."""
    parser.addoption(
        "--transport",
        choices=[*Transport],
        help="run the service on this transport, and only tests that call it",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a transport that was asked for, leave out what would be the same on every other."""
    if config.getoption("--transport") is None:
        return
    left_out = [item for item in items if not _calls_service(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if _calls_service(item)]


def _calls_service(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "service" in item.fixturenames


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> AsyncIterator[Service]:
    """The whole service, one for all tests: each works on merchants of its own."""
    directory = tmp_path_factory.mktemp("service")
    transport = pytestconfig.getoption("--transport")
    async with running_service(directory, transport=transport) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Service) -> AsyncIterator[Client]:
    """A client of a new merchant: US dollars, New York time."""
    async with service.client() as client:
        yield client


@pytest.fixture(scope="session")
def unleash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unleash]:
    """A real Unleash, one for all tests: each works on flags of its own."""
    with running_unleash(tmp_path_factory.mktemp("unleash")) as unleash:
        yield unleash
