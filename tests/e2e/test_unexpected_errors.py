"""A failure that nobody expected tells the operators enough, and nobody else anything."""

import asyncio
import contextlib
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest
import pytest_asyncio
import sentry_sdk
import structlog
from google.rpc.error_details_pb2 import RequestInfo

from patron.bill.v1.bill_service_pb2 import GetBillRequest, ImportBillsRequest
from server.logs import configure_logging
from tests.support.bills import bill_of, creation, trailers
from tests.support.chain_server import Refusal, refusal
from tests.support.drafts import VALID, create_customer, new_id
from tests.support.sentry_sink import SentrySink
from tests.support.service import Client, Service, running_service
from tests.support.tables import content_of

pytestmark = pytest.mark.fault

NAME: Final = "Zara Quill"
PHONE: Final = "+14155550199"
SECRETS: Final = ("Zara", "Quill", "4155550199", "INSERT INTO", "SELECT", "Failing row", "DETAIL")
RAISE: Final = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'INSERT INTO customer VALUES (%)', NEW; END $$;
CREATE CONSTRAINT TRIGGER failing AFTER INSERT ON customer
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()
"""


@dataclass(frozen=True)
class Breakage:
    """What somebody did to the database, and the class of what the server meets then."""

    statement: str
    repair: str
    error: str


BREAKAGES: Final = {
    # PostgreSQL shows the whole row that fails a check.
    "row": Breakage(
        f"ALTER TABLE customer ADD CONSTRAINT broken CHECK (name <> '{NAME}') NOT VALID",
        "ALTER TABLE customer DROP CONSTRAINT broken",
        "CheckViolationError",
    ),
    "table": Breakage(
        "ALTER TABLE customer_phone RENAME TO gone",
        "ALTER TABLE gone RENAME TO customer_phone",
        "UndefinedTableError",
    ),
    "column": Breakage(
        "ALTER TABLE customer RENAME COLUMN note TO remark",
        "ALTER TABLE customer RENAME COLUMN remark TO note",
        "UndefinedColumnError",
    ),
    "commit": Breakage(RAISE, "DROP FUNCTION fail CASCADE", "RaiseError"),
}
CALLS: Final[dict[str, Callable[[Client], Any]]] = {
    "CreateCustomer": lambda client: client.customers.CreateCustomer(
        create_customer(id=new_id(), name=NAME, phone=PHONE)
    ),
    "CreateBill": lambda client: client.bills.CreateBill(
        creation(bill_of(id=new_id(), phone=PHONE, customer_name=NAME))
    ),
    "ImportBills": lambda client: client.bills.ImportBills(
        iter([ImportBillsRequest(bills=[bill_of(id=new_id(), phone=PHONE, customer_name=NAME)])])
    ),
}


@pytest.fixture(scope="module")
def sink() -> Iterator[SentrySink]:
    """Sentry, on this machine."""
    with SentrySink() as sink:
        yield sink


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def private(
    tmp_path_factory: pytest.TempPathFactory, sink: SentrySink
) -> AsyncIterator[Service]:
    """A service whose database may be broken, as others use another one."""
    directory = tmp_path_factory.mktemp("private")
    async with running_service(directory, sentry_dsn=sink.dsn) as service:
        yield service


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, written as the server does."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    written = io.StringIO()
    with contextlib.redirect_stderr(written):
        configure_logging("INFO")
    yield written
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@contextlib.asynccontextmanager
async def broken(service: Service, breakage: Breakage) -> AsyncIterator[None]:
    """Break the database while the body runs."""
    async with service.database(service.urls.owner) as owner:
        await owner.execute(breakage.statement)
        try:
            yield
        finally:
            await owner.execute(breakage.repair)


def error_id_of(refused: Refusal) -> str:
    """Return the opaque id, after a look at all that the client was told."""
    assert (refused.code, refused.message, refused.reason) == (
        grpc.StatusCode.INTERNAL,
        "internal error",
        "UNEXPECTED",
    )
    assert not refused.fields
    assert not dict(refused.info.metadata)
    error_id: str = refused.detail(RequestInfo).request_id
    assert len(error_id) == 32
    return error_id


def assert_nothing_told(text: str) -> None:
    """Assert that a text has nothing personal and no SQL."""
    assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("kind", BREAKAGES)
async def test_unexpected_error(
    private: Service,
    sink: SentrySink,
    log: io.StringIO,
    kind: str,
    method: str,
) -> None:
    """INTERNAL has an id that one Sentry event and the log share, and nothing was written."""
    breakage = BREAKAGES[kind]
    sink.events.clear()
    async with private.client() as client, private.database() as database:
        there = await client.bills.CreateBill(creation(bill_of(paid_minor=1000)))
        before = await content_of(database, client.merchant_id)
        async with broken(private, breakage):
            refused = await refusal(CALLS[method](client))
            # What does not need the broken part goes on, on the same connection.
            answer = await client.bills.GetBill(GetBillRequest(bill_id=there.bill.id))
        assert answer.bill == there.bill
        assert await content_of(database, client.merchant_id) == before
        await CALLS[method](client)

    error_id = error_id_of(refused)
    assert_nothing_told(refused.raw + str(refused.status))

    await asyncio.to_thread(sentry_sdk.flush)
    [event] = sink.events
    assert event["tags"]["error_id"] == error_id
    assert event["tags"]["method"].endswith(f"/{method}")
    assert breakage.error in {value["type"] for value in event["exception"]["values"]}
    assert_nothing_told(sink.text)

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    [report] = [line for line in lines if line["event"] == "unexpected error"]
    [call] = [line for line in lines if line["event"] == "call" and line["code"] == "INTERNAL"]
    assert report["error_id"] == call["error_id"] == error_id
    assert report["error"][0]["class"].endswith(breakage.error)
    assert call["merchant_id"] == str(client.merchant_id)
    assert_nothing_told(log.getvalue())

    shown = await private.ask_admin("/metrics")
    for name in ("errors_total", "error_merchants"):
        pattern = rf'patron_unexpected_{name}{{arm="treatment",.*kind="{breakage.error}"}} [1-9]'
        assert re.search(pattern, shown)
    assert_nothing_told(shown)


async def test_pins_nothing(private: Service) -> None:
    """The same request, sent again when all is well, is done, and is no replay."""
    request = create_customer(id=new_id(), name=NAME, phone=PHONE)
    async with private.client() as client:
        async with broken(private, BREAKAGES["commit"]):
            error_ids = {
                error_id_of(await refusal(client.customers.CreateCustomer(request)))
                for _ in range(3)
            }
        again = client.customers.CreateCustomer(request)
        assert (await again).customer.phone == PHONE
        assert "patron-replayed" not in await trailers(again)

    assert len(error_ids) == 3


@pytest.mark.parametrize("name", ["GetSummary", "GetTimeSeries", "ListTopCustomers"])
async def test_reports(private: Service, sink: SentrySink, name: str) -> None:
    """A report that cannot be read fails in the same way, and works again afterwards."""
    sink.events.clear()
    table = "customer_stats" if name == "ListTopCustomers" else "day_stats"
    breakage = Breakage(
        f"ALTER TABLE {table} RENAME TO gone", f"ALTER TABLE gone RENAME TO {table}", ""
    )
    async with private.client() as client:
        call = getattr(client.analytics, name)
        async with broken(private, breakage):
            refused = await refusal(call(VALID[name]()))
        await call(VALID[name]())

    error_id = error_id_of(refused)
    assert table not in refused.raw
    await asyncio.to_thread(sentry_sdk.flush)
    assert [event["tags"]["error_id"] for event in sink.events] == [error_id]
    assert_nothing_told(sink.text)
