"""PostgreSQL behind the ports: the schema, the statements' cost, retries, verify and rebuild."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from domain.errors import AbortedError, Reason
from domain.model.bill import Bill, BillDraft, Line, PaymentDraft, PaymentMethod
from domain.model.caller import Caller
from domain.model.customer import CustomerDraft
from domain.model.paging import PageRequest
from domain.model.request import RequestKey
from domain.ports import BillFilter, BillReference
from domain.use_cases.bills import Bills
from domain.use_cases.customers import Customers
from server.embedded import DatabaseUrls
from server.phones import parse_phone
from server.storage import bills as bill_statements
from server.storage import customers as customer_statements
from server.storage import feedback as feedback_statements
from server.storage.bills import PostgresBills
from server.storage.customers import PostgresCustomers
from server.storage.database import Database
from server.storage.errors import StorageError
from server.storage.merchants import Merchants
from server.storage.migrate import migrate
from server.storage.rebuild import rebuild
from server.storage.resolution import ACCOUNTS, RESOLVE, resolve_arguments
from server.storage.schema import metadata
from server.storage.statements import Statement
from server.storage.verify import Difference, verify
from server.storage.writer import PostgresWriter
from tests.support import drafts
from tests.support.bills import create_bill, instant, line
from tests.support.round_trips import round_trips
from tests.support.service import Client, Service
from tests.support.verified import differences_of, low_merchant_id

Connected = "asyncpg.Connection[asyncpg.Record]"
DAY = datetime(2024, 3, 10, 12, tzinfo=UTC)


def superuser(url: str) -> str:
    """Return the URL of a database as the superuser, who may do everything."""
    return url.replace("patron_owner@", "postgres@")


class Store:
    """A database of its own and what is served from it, on one connection."""

    def __init__(self, urls: DatabaseUrls, database: Database) -> None:
        self.urls = urls
        self.database = database
        self.writer = PostgresWriter(database, lambda: datetime.now(UTC))
        self.bills = Bills(
            self.writer, PostgresBills(database), parse_phone, lambda: datetime.now(UTC)
        )
        self.customers = Customers(
            self.writer, PostgresCustomers(database), parse_phone, lambda: datetime.now(UTC)
        )

    async def merchant(self, merchant_id: UUID | None = None) -> Caller:
        """Create a merchant and return a caller of it."""
        merchant_id = merchant_id or uuid4()
        async with Merchants.connect(self.urls.maintenance) as merchants:
            await merchants.create(merchant_id, "A shop", "USD", "America/New_York", "US")
        return Caller(merchant_id, "a-test")

    async def create(self, caller: Caller, **fields: Any) -> Bill:
        """Create a bill of ten dollars, paid by as many cents as `paid_minor` says."""
        paid = fields.pop("paid_minor", 0)
        payments = (PaymentDraft(None, paid, PaymentMethod.CASH, None),) if paid else ()
        usual: dict[str, Any] = {
            "id": None,
            "customer_id": None,
            "phone": None,
            "external_id": None,
            "customer_name": "",
            "client_reference": "",
            "currency": "USD",
            "lines": (Line("Tea", 1000, 1000, 0, 0),),
            "expected_total_minor": None,
            "payments": payments,
            "billed_at": DAY,
            "due_on": None,
            "note": "",
            "digest": b"",
        }
        return (await self.bills.create(caller, a_key(), BillDraft(**usual | fields))).value


def a_key() -> RequestKey:
    """Return the key of a request that was never sent before."""
    return RequestKey(uuid4(), "a test's", b"")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """Lend a connection."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def urls(service: Service) -> DatabaseUrls:
    """Return a migrated database without any merchant, next to the service's."""
    async with connected(superuser(service.urls.owner)) as connection:
        await connection.execute("CREATE DATABASE storage OWNER patron_owner")
    found = DatabaseUrls(
        *(
            url.replace("/patron?", "/storage?")
            for url in (service.urls.owner, service.urls.serving, service.urls.maintenance)
        )
    )
    await migrate(found.owner)
    return found


@asynccontextmanager
async def held(store: Store, caller: Caller) -> AsyncIterator[None]:
    """Hold a merchant's row, as a writer does that does not come to its end."""
    async with connected(store.urls.maintenance) as connection, connection.transaction():
        await connection.execute(
            "SELECT 1 FROM merchant WHERE merchant_id = $1 FOR UPDATE", caller.merchant_id
        )
        yield


@pytest_asyncio.fixture(loop_scope="session")
async def impatient(urls: DatabaseUrls) -> AsyncIterator[Store]:
    """Serve from the database on some connections, on which a write waits 0.8 s for another."""
    async with Database.connect(urls.serving, pool_size=4, lock_timeout=0.8) as database:
        yield Store(urls, database)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def store(urls: DatabaseUrls) -> AsyncIterator[Store]:
    """Serve from the database on one connection."""
    async with Database.connect(urls.serving, pool_size=1, lock_timeout=5) as database:
        yield Store(urls, database)


# The schema.


async def test_migrations_make_the_schema_that_the_code_describes(urls: DatabaseUrls) -> None:
    """A migrated database has the tables of `schema.metadata`, and no more."""

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        found: list[Any] = compare_metadata(context, metadata)
        return found

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(urls.owner)
    )
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_migrating_again_changes_nothing(urls: DatabaseUrls) -> None:
    """A second migration leaves the database, and its epoch, as it is."""
    async with connected(urls.owner) as connection:
        epoch = await connection.fetchval("SELECT epoch FROM database_epoch")
        await migrate(urls.owner)
        assert await connection.fetchval("SELECT epoch FROM database_epoch") == epoch


async def test_every_tenant_table_begins_with_the_merchant_and_forces_its_policy(
    urls: DatabaseUrls,
) -> None:
    """Keys, indexes and references begin with the merchant, and row-level security is forced."""
    async with connected(urls.owner) as connection:
        forced = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relforcerowsecurity"
        )
    tables = [table for table in metadata.tables.values() if "merchant_id" in table.c]
    assert {row["relname"] for row in forced} == {table.name for table in tables} - {
        "rebuild_queue"
    }
    for table in tables:
        assert table.primary_key.columns.values()[0].name == "merchant_id"
        assert all(index.columns.values()[0].name == "merchant_id" for index in table.indexes)
        for constraint in table.foreign_key_constraints:
            assert constraint.column_keys[0] == "merchant_id"


async def test_the_server_refuses_a_role_that_sees_every_merchant(urls: DatabaseUrls) -> None:
    """A superuser, whom no policy binds, is not served from."""
    with pytest.raises(StorageError, match="BYPASSRLS"):
        async with Database.connect(superuser(urls.owner), pool_size=1, lock_timeout=1):
            pass


async def test_the_server_refuses_a_database_without_its_schema(service: Service) -> None:
    """A database that was not migrated is refused with what to do."""
    async with connected(superuser(service.urls.owner)) as connection:
        await connection.execute("CREATE DATABASE unmigrated OWNER patron_owner")
    url = service.urls.serving.replace("/patron?", "/unmigrated?")
    with pytest.raises(StorageError, match="patron db migrate"):
        async with Database.connect(url, pool_size=1, lock_timeout=1):
            pass


# What a call costs.


async def trips(store: Store, call: Any) -> int:
    """Return how many statements a call sends, one after the other."""
    return await round_trips(store.database, call)


async def test_a_bill_is_written_in_five_round_trips(store: Store) -> None:
    """Begin, claim, look up, write, commit; one more only where a customer's account is open."""
    caller = await store.merchant()
    known = (await store.create(caller, external_id="7", paid_minor=1000)).customer_id
    for fields in (
        {"paid_minor": 1000},
        {"external_id": "8", "paid_minor": 1000},
        {"phone": "415 555 2671"},
        {"customer_id": known, "paid_minor": 1000},
    ):
        assert await trips(store, store.create(caller, **fields)) == 5
    assert await trips(store, store.create(caller, phone="415 555 2671", paid_minor=50)) == 6


async def test_a_repetition_and_reads_take_less(store: Store) -> None:
    """A replay takes four round trips, and a read three."""
    caller = await store.merchant()
    key = a_key()
    draft = CustomerDraft(None, "7", "", "", "", b"")
    customer = (await store.customers.create(caller, key, draft)).value
    bill = await store.create(caller, customer_id=customer.id)
    assert await trips(store, store.customers.create(caller, key, draft)) == 4
    page = PageRequest(10, None)
    for read in (
        store.customers.get(caller, customer.id),
        store.customers.list(caller, page),
        store.bills.get(caller, bill.id),
        store.bills.list(caller, BillFilter(customer.id, None, None), page),
    ):
        assert await trips(store, read) == 3


_LOAD = """
INSERT INTO customer (merchant_id, customer_id, external_id, name, phone, note, created_at,
    updated_at, revision)
  SELECT $1, ids.id, ids.at::text, '', NULL, '', now(), now(), 1 FROM ids;
INSERT INTO customer_phone SELECT $1, '+1415' || (5000000 + ids.at), ids.id FROM ids;
INSERT INTO customer_stats SELECT $1, ids.id, 1, 0, 0, 0, 1, '2024-03-10', '2024-03-10', 1 FROM ids;
INSERT INTO customer_day SELECT $1, ids.id, '2024-03-10', 1, 0 FROM ids;
INSERT INTO bill (merchant_id, bill_id, number, customer_id, client_reference, currency,
    subtotal_minor, discount_minor, tax_minor, billed_at, business_day, note, created_at, revision,
    digest)
  SELECT $1, ids.id, ids.at, ids.id, '', 'USD', 0, 0, 0, now(), '2024-03-10', '', now(), 1, ''
  FROM ids;
INSERT INTO ledger_entry (merchant_id, entry_id, kind, bill_id, customer_id, amount_minor,
    entered_on, happened_at, revision, ordinal)
  SELECT $1, ids.id, 'bill', ids.id, ids.id, 0, '2024-03-10', now(), 1, ids.at FROM ids;
INSERT INTO bill_line SELECT $1, ids.id, 0, 'Tea', 1000, 0, 0, 0 FROM ids;
INSERT INTO feedback SELECT $1, 'feature', ids.at::text, ids.id, 5, '', '', '', now(), now(), 1
  FROM ids
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowded(store: Store) -> Caller:
    """Return a caller whose merchant just got 20,000 customers, each with a bill."""
    caller = await store.merchant()
    async with connected(superuser(store.urls.owner)) as connection, connection.transaction():
        await connection.execute(
            "CREATE TEMPORARY TABLE ids AS SELECT at::integer, gen_random_uuid() AS id "
            "FROM generate_series(1, 20000) AS at"
        )
        for statement in _LOAD.split(";\n"):
            await connection.execute(statement, caller.merchant_id)
    return caller


def _references(count: int, **fields: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {"customer_id": None, "phone": None, "external_id": None}
    return resolve_arguments(
        [
            BillReference(bill_id=uuid4(), business_day=date(2024, 3, 11), **nothing | fields)
            for _ in range(count)
        ],
        entry_ids=[uuid4() for _ in range(count)],
    )


_ONE = {"limit": 2, "customer_id": UUID(int=1), "bill_id": UUID(int=1)}
_FIND = {"customer_id": UUID(int=1), "phone": "+14155000001", "external_id": "1"}
_RATED = {"feature": "feature", "subject": "1", "since": DAY}
_RANGE = {
    "from_day": date.min,
    "to_day": date.max,
    "before_day": date.max,
    "before_number": 2**63 - 1,
}


@pytest.mark.parametrize(
    "statement, values",
    [
        pytest.param(RESOLVE, _references(1, phone="+14155000001"), id="resolve-phone"),
        pytest.param(RESOLVE, _references(1, external_id="1"), id="resolve-external-id"),
        pytest.param(RESOLVE, _references(500, customer_id=UUID(int=1)), id="resolve-500"),
        pytest.param(ACCOUNTS, {"customer_ids": [UUID(int=1)]}, id="accounts"),
        pytest.param(customer_statements.FIND, _FIND, id="find-customers"),
        pytest.param(customer_statements._GET, _ONE, id="get-customer"),
        pytest.param(feedback_statements.FIND, _RATED, id="find-feedback"),
        pytest.param(bill_statements.FIND, _ONE, id="find-bill"),
        pytest.param(bill_statements._GET, _ONE, id="get-bill"),
        pytest.param(bill_statements._LIST_OF_CUSTOMER, _ONE | _RANGE, id="list-bills"),
    ],
)
async def test_rows_are_found_by_index_right_after_a_bulk_load(
    store: Store, crowded: Caller, statement: Statement, values: dict[str, Any]
) -> None:
    """Without statistics and under the policies, no statement reads a table from end to end."""
    async with connected(store.urls.serving) as connection, connection.transaction():
        await connection.execute(f"SET LOCAL patron.merchant = '{crowded.merchant_id}'")
        plan = await connection.fetchval(
            f"EXPLAIN (FORMAT JSON) {statement.sql}",
            *statement.arguments({"merchant_id": crowded.merchant_id, **values}),
        )
    scanned = [
        node["Relation Name"]
        for node in _nodes(json.loads(plan)[0]["Plan"])
        if node["Node Type"] == "Seq Scan"
    ]
    # It has one row.
    assert set(scanned) <= {"database_epoch", "merchant", "open_debit", "free_credit"}


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in _nodes(child))]


# Conflicts.


async def test_a_conflicting_write_is_run_again_as_a_whole(store: Store) -> None:
    """A serialization failure in the middle is retried, and what it wrote is there once."""
    caller = await store.merchant()
    draft = CustomerDraft(uuid4(), "7", "", "", "", b"")
    tries = 0

    async def work(transaction: Any) -> int:
        nonlocal tries
        tries += 1
        customers = await transaction.find_customers(draft.id, "", "7")
        assert customers == []
        made = Customers(None, None, parse_phone, lambda: DAY)  # type: ignore[arg-type]
        await made._create(transaction, draft, DAY)
        if tries < 3:
            raise asyncpg.SerializationError
        return tries

    written = await store.writer.write(caller, a_key(), int, work)
    assert (written.value, written.revision.number) == (3, 1)
    assert draft.id is not None
    assert (await store.customers.get(caller, draft.id)).revision == 1


async def test_a_write_that_always_conflicts_is_given_up(store: Store) -> None:
    """After some tries the caller is told to retry later, and the key is free again."""
    caller = await store.merchant()
    key = a_key()
    tries = 0

    async def conflict(transaction: Any) -> int:
        nonlocal tries
        tries += 1
        raise asyncpg.DeadlockDetectedError

    with pytest.raises(AbortedError) as refused:
        await store.writer.write(caller, key, int, conflict)
    assert refused.value.reason is Reason.WRITE_CONTENDED
    assert refused.value.retry_after
    assert 1 < tries < 10

    async def nothing(transaction: Any) -> int:
        await transaction.remember(7)
        return 7

    assert not (await store.writer.write(caller, key, int, nothing)).replayed
    assert (await store.writer.write(caller, key, int, nothing)).replayed


async def contended(store: Store, caller: Caller, after: float = 0.0) -> float:
    """Return for how long a write waits before it is refused because of another."""
    await asyncio.sleep(after)
    began = time.monotonic()
    with pytest.raises(AbortedError) as refused:
        await store.create(caller, paid_minor=1000)
    assert refused.value.reason is Reason.WRITE_CONTENDED
    return time.monotonic() - began


async def test_a_write_waits_once_for_the_merchant(impatient: Store) -> None:
    """Who stands behind another waiting write waits as long as that one, and not longer."""
    caller = await impatient.merchant()
    async with held(impatient, caller):
        waits = await asyncio.gather(
            contended(impatient, caller), contended(impatient, caller, after=0.2)
        )
    assert max(waits) < 1.2


async def test_a_write_waits_no_longer_in_line(impatient: Store) -> None:
    """However many writes stand in line, each is refused when the lock timeout is over."""
    caller = await impatient.merchant()
    async with held(impatient, caller):
        waits = await asyncio.gather(*(contended(impatient, caller) for _ in range(5)))
    assert max(waits) < 1.2


async def test_a_real_deadlock_does_not_reach_the_client(service: Service, client: Client) -> None:
    """The victim of a deadlock with somebody else's transaction is run again and succeeds."""
    customer_id = str(uuid4())
    await client.customers.CreateCustomer(drafts.create_customer(id=customer_id))
    async with service.database() as database, database.transaction():
        await database.execute(
            "UPDATE customer SET note = 'theirs' WHERE merchant_id = $1", client.merchant_id
        )
        update = asyncio.ensure_future(
            client.customers.UpdateCustomer(drafts.update_customer(customer_id, name="Chen"))
        )
        # By then it has the merchant and waits for the customer, as the first of the two: it is
        # the one that finds the deadlock, and its victim.
        await asyncio.sleep(0.5)
        await database.execute(
            "SELECT 1 FROM merchant WHERE merchant_id = $1 FOR UPDATE", client.merchant_id
        )
    changed = (await update).customer
    assert (changed.name, changed.note) == ("Chen", "theirs")


# Verify and rebuild.


async def a_history(client: Client) -> None:
    """Make two customers, one who owes and one with credit, and a walk-in."""
    # Half of a minor unit is rounded up, line by line.
    halves = [line(333, quantity_milli=1500, discount_minor=3, tax_minor=5)] * 2
    for total, fields in (
        (1000, {"phone": "+14155552671", "paid_minor": 400}),
        (1000, {"phone": "+14155552671", "lines": halves}),
        (500, {"external_id": "paid", "paid_minor": 700}),
        (300, {"paid_minor": 300}),
    ):
        await create_bill(client, total, bill_time=instant(DAY), **fields)


async def differences_after(service: Service, *tampering: str) -> list[Difference]:
    """Return what verify finds of a merchant with a history after statements, given its id."""
    merchant_id = low_merchant_id()
    async with Merchants.connect(service.urls.maintenance) as merchants:
        await merchants.create(merchant_id, "A shop", "USD", "America/New_York", "US")
    async with service.client(merchant_id) as client:
        await a_history(client)
    assert await differences_of(service.urls.maintenance, merchant_id) == []
    async with service.database(superuser(service.urls.owner)) as database:
        for statement in tampering:
            await database.execute(statement, merchant_id)
        found = await differences_of(service.urls.maintenance, merchant_id)
        # Leave nothing wrong behind for those who verify everything.
        for table in reversed(metadata.sorted_tables):
            if "merchant_id" in table.c:
                await database.execute(
                    f"DELETE FROM {table.name} WHERE merchant_id = $1", merchant_id
                )
    return found


@pytest.mark.parametrize(
    "tampering, table, key, column",
    [
        ("UPDATE day_stats SET sales_minor = sales_minor + 1", "day_stats", "day", "sales_minor"),
        ("UPDATE day_stats SET paid_minor = paid_minor - 1", "day_stats", "day", "paid_minor"),
        ("DELETE FROM day_stats", "day_stats", "day", "bills"),
        (
            "INSERT INTO day_stats SELECT merchant_id, '2024-03-11', 0,0,0,0,0,1,0 FROM merchant",
            "day_stats",
            "day",
            "active_customers",
        ),
        (
            "UPDATE customer_stats SET credit_minor = credit_minor + 1",
            "customer_stats",
            "customer_id",
            "credit_minor",
        ),
        (
            "UPDATE customer_stats SET last_day = '2024-03-11'",
            "customer_stats",
            "customer_id",
            "last_day",
        ),
        (
            "UPDATE customer_month SET outstanding_minor = 7",
            "customer_month",
            "customer_id",
            "outstanding_minor",
        ),
        ("DELETE FROM customer_month", "customer_month", "month", "bills"),
        ("UPDATE customer_day SET bills = bills + 1", "customer_day", "day", "bills"),
        ("UPDATE activity_gap SET customers = 9", "activity_gap", "previous_day", "customers"),
        ("DELETE FROM activity_gap_month", "activity_gap_month", "month", "customers"),
        ("DELETE FROM open_debit", "open_debit", "entry_id", "open_minor"),
        ("UPDATE open_debit SET due_on = '2024-03-11'", "open_debit", "entry_id", "due_on"),
        ("UPDATE free_credit SET free_minor = 1", "free_credit", "entry_id", "free_minor"),
        (
            "UPDATE allocation SET amount_minor = amount_minor - 1",
            "allocation",
            "debit_id",
            "amount_minor",
        ),
        ("DELETE FROM allocation", "allocation", "credit_id", "amount_minor"),
        (
            "UPDATE ledger_entry SET amount_minor = amount_minor + 1",
            "ledger_entry",
            "entry_id",
            "amount_minor",
        ),
        (
            "UPDATE ledger_entry SET due_on = '2024-03-11'",
            "ledger_entry",
            "entry_id",
            "due_on",
        ),
        (
            "UPDATE ledger_entry SET customer_id = CASE kind WHEN 'bill' THEN customer_id END",
            "ledger_entry",
            "entry_id",
            "customer_id",
        ),
        ("UPDATE bill SET tax_minor = 1", "ledger_entry", "entry_id", "amount_minor"),
        ("UPDATE bill SET business_day = '2024-03-11'", "customer_day", "day", "bills"),
        ("UPDATE bill SET tax_minor = 1", "bill", "bill_id", "tax_minor"),
        (
            "UPDATE bill_line SET unit_price_minor = unit_price_minor + 1",
            "bill",
            "bill_id",
            "subtotal_minor",
        ),
        (
            "UPDATE bill_line SET quantity_milli = 2^62, unit_price_minor = 2^62",
            "bill",
            "bill_id",
            "subtotal_minor",
        ),
        ("UPDATE bill_line SET discount_minor = 1", "bill", "bill_id", "discount_minor"),
        ("DELETE FROM bill_line", "bill", "bill_id", "subtotal_minor"),
        ("UPDATE bill SET number = number + 7", "bill", "bill_id", "number"),
        ("UPDATE bill SET number = -number", "bill", "bill_id", "number"),
        ("UPDATE bill SET number = number + 7", "merchant", "merchant_id", "next_bill_number"),
        ("UPDATE merchant SET next_bill_number = 9", "merchant", "merchant_id", "next_bill_number"),
        ("DELETE FROM customer_phone", "customer_phone", "phone", "customer_id"),
        ("UPDATE customer SET phone = NULL", "customer_phone", "phone", "customer_id"),
        ("UPDATE customer SET phone = phone || '1'", "customer_phone", "phone", "customer_id"),
    ],
)
async def test_verify_names_what_was_tampered_with(
    service: Service, tampering: str, table: str, key: str, column: str
) -> None:
    """Whatever was changed by hand is found, and named to the column."""
    found = await differences_after(service, f"{tampering} WHERE merchant_id = $1")
    named = [each for each in found if (each.table, each.column) == (table, column)]
    assert named
    assert all(each.stored != each.recomputed for each in found)
    assert all(each.key[key] for each in named)


async def test_a_gap_in_the_numbers_is_named_once(service: Service) -> None:
    """However many bills come after a gap, only the one right behind it is named."""
    [difference] = await differences_after(
        service,
        "UPDATE bill SET number = 5 WHERE merchant_id = $1 AND number = 2",
        "UPDATE merchant SET next_bill_number = 6 WHERE merchant_id = $1",
    )
    assert (difference.table, difference.column) == ("bill", "number")
    assert (difference.stored, difference.recomputed) == ("3", "2")


async def test_a_payment_in_a_wrong_account_is_no_debit_there(service: Service) -> None:
    """It is named, pays nothing, and nobody's credit pays it."""
    found = await differences_after(
        service,
        "UPDATE ledger_entry SET customer_id = free_credit.customer_id FROM free_credit "
        "WHERE ledger_entry.merchant_id = $1 AND free_credit.merchant_id = $1 "
        "AND kind = 'payment' AND amount_minor = 400",
    )
    [payment] = [each for each in found if each.table == "ledger_entry"]
    assert payment.column == "customer_id"
    [unpaid] = [each for each in found if each.table == "allocation"]
    assert unpaid.key["credit_id"] == payment.key["entry_id"]
    assert (unpaid.stored, unpaid.recomputed) == ("400", "0")


@pytest_asyncio.fixture(loop_scope="session")
async def wrong(service: Service) -> AsyncIterator[DatabaseUrls]:
    """Return a database whose merchants 1, 2 and 3 have wrong totals."""
    async with connected(superuser(service.urls.owner)) as connection:
        await connection.execute("CREATE DATABASE wrong OWNER patron_owner")
        urls = DatabaseUrls(
            *(
                url.replace("/patron?", "/wrong?")
                for url in (service.urls.owner, service.urls.serving, service.urls.maintenance)
            )
        )
        await migrate(urls.owner)
        async with Database.connect(urls.serving, pool_size=1, lock_timeout=5) as database:
            store = Store(urls, database)
            for at in (1, 2, 3):
                caller = await store.merchant(UUID(int=at))
                await store.create(caller, external_id="7", paid_minor=400)
                await store.create(caller, external_id="8", paid_minor=1200)
        async with connected(urls.maintenance) as maintenance:
            for table in ("day_stats", "customer_month", "open_debit", "activity_gap"):
                await maintenance.execute(f"DELETE FROM {table}")
            await maintenance.execute("UPDATE customer_stats SET credit_minor = 7")
        yield urls
        await connection.execute("DROP DATABASE wrong WITH (FORCE)")


async def interrupted(urls: DatabaseUrls) -> None:
    """Rebuild everything, but stop after the first merchant."""
    steps: Any = rebuild(urls.maintenance)
    progress = await anext(steps)
    assert (progress.done, progress.total, progress.merchant_id) == (1, 3, UUID(int=1))
    await steps.aclose()


async def rebuilt(urls: DatabaseUrls, merchant_id: UUID | None = None) -> list[tuple[int, ...]]:
    """Rebuild and return the steps: how many were done, of how many, and which merchant."""
    return [
        (each.done, each.total, each.merchant_id.int)
        async for each in rebuild(urls.maintenance, merchant_id)
    ]


async def wrong_merchants(urls: DatabaseUrls) -> list[int]:
    """Return the merchants of which verify finds a difference."""
    return [
        report.merchant_id.int async for report in verify(urls.maintenance) if report.differences
    ]


async def test_a_rebuild_goes_on_where_it_was_interrupted(wrong: DatabaseUrls) -> None:
    """An interrupted rebuild goes on with the merchants that are left, and mends all totals."""
    await interrupted(wrong)
    assert await wrong_merchants(wrong) == [2, 3]
    assert await revisions(wrong) == [3, 2, 2]

    assert await rebuilt(wrong) == [(1, 2, 2), (2, 2, 3)]
    assert await wrong_merchants(wrong) == []
    assert await revisions(wrong) == [3, 3, 3]


async def test_a_rebuild_of_one_merchant_is_of_that_one_alone(wrong: DatabaseUrls) -> None:
    """It neither goes on with an interrupted rebuild of all nor takes others out of it."""
    assert await rebuilt(wrong, UUID(int=2)) == [(1, 1, 2)]
    assert await wrong_merchants(wrong) == [1, 3]

    await interrupted(wrong)
    assert await rebuilt(wrong, UUID(int=2)) == [(1, 1, 2)]
    assert await wrong_merchants(wrong) == [3]
    assert await rebuilt(wrong) == [(1, 1, 3)]
    assert await wrong_merchants(wrong) == []


async def test_an_interrupted_rebuild_of_one_merchant_hides_no_other(wrong: DatabaseUrls) -> None:
    """A rebuild of all after it is of all."""
    async with connected(wrong.maintenance) as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM merchant FOR UPDATE")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rebuilt(wrong, UUID(int=2)), timeout=1)
    assert await rebuilt(wrong) == [(1, 3, 1), (2, 3, 2), (3, 3, 3)]
    assert await wrong_merchants(wrong) == []


async def test_a_rebuild_of_an_unknown_merchant_is_refused(wrong: DatabaseUrls) -> None:
    """Who mistyped an id is told so, and nothing is rebuilt."""
    await interrupted(wrong)
    with pytest.raises(StorageError, match=f"there is no merchant {UUID(int=4)}"):
        await rebuilt(wrong, UUID(int=4))
    assert await wrong_merchants(wrong) == [2, 3]


async def revisions(urls: DatabaseUrls) -> Sequence[int]:
    """Return the revisions of all merchants, in the order of their ids."""
    async with connected(urls.maintenance) as connection:
        rows = await connection.fetch("SELECT revision FROM merchant ORDER BY merchant_id")
    return [row["revision"] for row in rows]


async def test_writes_wait_for_a_rebuild(service: Service, client: Client) -> None:
    """A bill that comes while its merchant is rebuilt is in the totals, once."""
    await create_bill(client, external_id="7")
    many = [asyncio.ensure_future(create_bill(client, external_id="7")) for _ in range(20)]
    _ = [each async for each in rebuild(service.urls.maintenance, client.merchant_id)]
    await asyncio.gather(*many)
    async with service.database() as database:
        kept = await database.fetchval(
            "SELECT bills FROM customer_stats WHERE merchant_id = $1", client.merchant_id
        )
    assert kept == 21


# Merchants.


async def test_a_merchant_is_created_once(store: Store) -> None:
    """The same settings give the same merchant again; others are refused."""
    merchant_id = uuid4()
    async with Merchants.connect(store.urls.maintenance) as merchants:
        assert await merchants.find(merchant_id) is None
        settings = ("A shop", "USD", "America/New_York", "US")
        made = await merchants.create(merchant_id, *settings)
        assert await merchants.create(merchant_id, *settings) == made
        with pytest.raises(StorageError, match="other settings"):
            await merchants.create(merchant_id, "A shop", "EUR", "America/New_York", "US")
        assert await merchants.find(merchant_id) == made


async def test_a_currency_stays_once_there_is_a_bill(store: Store) -> None:
    """Settings may change, each change a revision, but the currency not under the bills."""
    caller = await store.merchant()
    async with Merchants.connect(store.urls.maintenance) as merchants:
        changed = await merchants.set(caller.merchant_id, currency="EUR", name="The shop")
        assert (changed.currency, changed.name, changed.revision.number) == ("EUR", "The shop", 1)
        await merchants.set(caller.merchant_id, currency="USD")
        assert (await merchants.set(caller.merchant_id, currency="USD")).revision.number == 2
        await store.create(caller, paid_minor=1000)
        with pytest.raises(StorageError, match="cannot change"):
            await merchants.set(caller.merchant_id, currency="EUR", name="No shop")
        kept = await merchants.find(caller.merchant_id)
        assert kept is not None
        assert (kept.currency, kept.name, kept.revision.number) == ("USD", "The shop", 3)
        with pytest.raises(StorageError, match="no merchant"):
            await merchants.set(uuid4(), name="No shop")


async def test_another_time_zone_holds_for_later_bills(service: Service, client: Client) -> None:
    """A bill keeps its business day; only bills made after the change get days of the new zone."""
    late: dict[str, Any] = {
        "bill_time": instant(datetime(2024, 3, 10, 3, tzinfo=UTC)),
        "paid_minor": 1000,
    }
    before = await create_bill(client, **late)
    async with Merchants.connect(service.urls.maintenance) as merchants:
        await merchants.set(client.merchant_id, time_zone="Asia/Kolkata")
    after = await create_bill(client, **late)
    assert (before.business_day, after.business_day) == ("2024-03-09", "2024-03-10")
