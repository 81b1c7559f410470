"""PostgreSQL itself keeps merchants apart, whatever the statements forget."""

import contextlib
import importlib
import pkgutil
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor

import server.storage
from domain.errors import NotFoundError
from domain.model.caller import Caller
from server.storage.bills import PostgresBills
from server.storage.customers import PostgresCustomers
from server.storage.database import Database
from server.storage.errors import StorageError
from server.storage.schema import metadata
from server.storage.statements import Statement
from tests.support.service import Client, Service
from tests.support.tables import OPERATORS_OWN, TENANT_TABLES, content_of
from tests.support.tenants import CASES, Shop, open_shop
from tests.support.wire import METHODS

pytestmark = pytest.mark.fault

OPERATORS_MODULES = {"merchants", "rebuild", "recomputation", "replay", "rollouts", "verify"}
"""What runs as the maintenance role, which sees every merchant, or reads what is of none."""
IMMUTABLE = ("allocation", "audit_log", "bill_line", "ledger_entry")
PREDICATE = re.compile(r"\b\w+\.merchant_id = (\$\d+::UUID)")
JOIN = re.compile(r"\b\w+\.merchant_id = \w+\.merchant_id\b")

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(service: Service) -> AsyncIterator[Shop]:
    """A merchant with rows in every table."""
    async with service.client() as client:
        yield await open_shop(client)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def neighbour(service: Service) -> AsyncIterator[Shop]:
    """Another one, which has rows of its own to tamper with."""
    async with service.client() as client:
        yield await open_shop(client)


@pytest_asyncio.fixture(loop_scope="session")
async def serving(service: Service) -> AsyncIterator["Connection"]:
    """A fresh connection of the role that serves calls."""
    async with service.database(service.urls.serving) as connection:
        yield connection


@contextlib.asynccontextmanager
async def acting_for(connection: "Connection", merchant_id: UUID) -> AsyncIterator[None]:
    """Run the body in a transaction of a merchant, as the server does, and undo it."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"SET LOCAL patron.merchant = '{merchant_id}'")
        yield
    finally:
        await transaction.rollback()


async def seen(connection: "Connection") -> dict[str, set[UUID]]:
    """Return whose rows of each table can be seen."""
    return {
        table: {row[0] for row in await connection.fetch(f"SELECT merchant_id FROM {table}")}
        for table in TENANT_TABLES
    }


def everywhere(*merchants: UUID) -> dict[str, set[UUID]]:
    """Return what is seen where every table shows rows of these merchants."""
    return {table: set(merchants) for table in TENANT_TABLES}


def statements() -> list[Statement]:
    """Return every statement that the serving role runs."""
    found = {
        id(value): value
        for module in pkgutil.iter_modules(server.storage.__path__)
        if module.name not in OPERATORS_MODULES
        for member in vars(importlib.import_module(f"server.storage.{module.name}")).values()
        for value in (member.values() if isinstance(member, dict) else [member])
        if isinstance(value, Statement)
    }
    return list(found.values())


@pytest.fixture
def no_predicates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the merchant out of the conditions of every statement."""
    taken_out = 0
    for statement in statements():
        # The parameter stays, in a condition that is always true: it has to have a type.
        sql, predicates = PREDICATE.subn(r"(\1 IS NOT NULL)", statement.sql)
        sql, _ = JOIN.subn("true", sql)
        assert predicates, statement.sql
        assert "merchant_id =" not in sql
        monkeypatch.setattr(statement, "sql", sql)
        taken_out += predicates
    assert taken_out > 50


async def test_every_table_is_guarded(service: Service) -> None:
    """Every table of the database is known here, and row-level security is forced on it."""
    async with service.database() as database:
        tables = await database.fetch(
            "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class "
            "WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        )

    assert {name for name, _ in tables} == {*metadata.tables, "alembic_version"}
    assert {name for name, guarded in tables if guarded} == set(TENANT_TABLES)


async def test_select_without_predicate(serving: "Connection", shop: Shop, neighbour: Shop) -> None:
    """A merchant sees its own rows of every table, and none of another."""
    for one in (shop, neighbour):
        merchant_id = one.client.merchant_id
        async with acting_for(serving, merchant_id):
            assert await seen(serving) == everywhere(merchant_id)


@pytest.mark.parametrize("ending", ["fresh", "COMMIT", "ROLLBACK", "failed"])
async def test_no_merchant_set(serving: "Connection", shop: Shop, ending: str) -> None:
    """Without a merchant no row is seen, also where a transaction of one has been before."""
    if ending != "fresh":
        await serving.execute(f"BEGIN; SET LOCAL patron.merchant = '{shop.client.merchant_id}'")
        assert await serving.fetchval("SELECT count(*) FROM bill") == 3
        if ending == "failed":
            with pytest.raises(asyncpg.DivisionByZeroError):
                await serving.fetchval("SELECT 1 / 0")
        await serving.execute("COMMIT" if ending == "COMMIT" else "ROLLBACK")

    assert await seen(serving) == everywhere()


@pytest.mark.parametrize("statement", ["SELECT 1", "SELECT 1 / 0"], ids=["committed", "failed"])
async def test_pooled_connection(
    service: Service, shop: Shop, neighbour: Shop, statement: str
) -> None:
    """A pooled connection forgets the merchant of a transaction, whether it failed or not."""
    async with Database.connect(service.urls.serving, pool_size=1, lock_timeout=1) as database:
        pids = set()

        async def act_for(merchant_id: UUID) -> None:
            caller = Caller(merchant_id, "a-test")
            async with database.transaction(caller) as transaction:
                connection: Any = transaction._connection
                pids.add(connection.get_server_pid())
                assert await seen(connection) == everywhere(merchant_id)
                await connection.fetchval(statement)

        for one in (shop, neighbour):
            with contextlib.suppress(asyncpg.DivisionByZeroError):
                await act_for(one.client.merchant_id)
            async with database._pool.acquire() as bare:
                unset: Any = bare
                assert await seen(unset) == everywhere()

    assert len(pids) == 1


@pytest.mark.usefixtures("no_predicates")
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_statements_without_predicates(
    service: Service, shop: Shop, client: Client, method: MethodDescriptor
) -> None:
    """With the predicates out of all statements, a method still finds and changes nothing."""
    merchant_id = shop.client.merchant_id
    async with service.database() as database:
        before = await content_of(database, merchant_id)
        await CASES[method.full_name](shop, client)
        assert await content_of(database, merchant_id) == before


@pytest.mark.usefixtures("no_predicates")
async def test_predicates_were_what_kept_apart(
    service: Service, shop: Shop, neighbour: Shop
) -> None:
    """The same statements do find another's rows for a role that may see every merchant."""
    caller = Caller(shop.client.merchant_id, "a-test")
    customer_id = UUID(neighbour.customer.customer.id)
    bill_id = UUID(neighbour.bill.bill.id)
    async with Database.connect(service.urls.serving, pool_size=1, lock_timeout=1) as database:
        with pytest.raises(NotFoundError):
            await PostgresCustomers(database).get(caller, customer_id)
        with pytest.raises(NotFoundError):
            await PostgresBills(database).get(caller, bill_id)
    async with asyncpg.create_pool(service.urls.maintenance, min_size=1, max_size=1) as pool:
        # Serving itself refuses this role.
        database = Database(pool, acquire_timeout=1, lock_timeout=1)
        assert (await PostgresCustomers(database).get(caller, customer_id)).id == customer_id
        assert (await PostgresBills(database).get(caller, bill_id)).id == bill_id


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_writes_to_another(
    service: Service, serving: "Connection", shop: Shop, neighbour: Shop, table: str
) -> None:
    """No row of another merchant can be made, taken over, changed or deleted."""
    theirs, own = shop.client.merchant_id, neighbour.client.merchant_id
    async with service.database() as database:
        row = await database.fetchval(
            f"SELECT to_jsonb(row) FROM {table} AS row WHERE merchant_id = $1 LIMIT 1", theirs
        )
    refused = pytest.raises(asyncpg.InsufficientPrivilegeError)
    async with acting_for(serving, own):
        with refused:
            await serving.execute(
                f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(null::{table}, $1)", row
            )
    async with acting_for(serving, own):
        with refused:
            await serving.execute(f"UPDATE {table} SET merchant_id = $1", theirs)
    async with acting_for(serving, own):
        with refused:
            await serving.execute(f"TRUNCATE {table} CASCADE")
    if table in IMMUTABLE:
        return
    async with acting_for(serving, own):
        for change in (f"UPDATE {table} SET merchant_id = merchant_id", f"DELETE FROM {table}"):
            if table == "merchant" and change.startswith("DELETE"):
                continue
            assert await serving.execute(f"{change} WHERE merchant_id = $1", theirs) in (
                "UPDATE 0",
                "DELETE 0",
            )


@pytest.mark.parametrize("table", IMMUTABLE)
@pytest.mark.parametrize("change", ["UPDATE {} SET merchant_id = merchant_id", "DELETE FROM {}"])
async def test_immutable_tables(serving: "Connection", shop: Shop, table: str, change: str) -> None:
    """The ledger, its allocations, the lines and the audit log are only ever added to."""
    async with acting_for(serving, shop.client.merchant_id):
        assert await serving.fetchval(f"SELECT count(*) FROM {table}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await serving.execute(change.format(table))


@pytest.mark.parametrize(
    "escape",
    [
        "SET ROLE patron_maintenance",
        "SET ROLE patron_owner",
        "ALTER TABLE bill DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE bill NO FORCE ROW LEVEL SECURITY",
        "CREATE POLICY all_of_it ON bill USING (true)",
        "DROP POLICY own_merchant ON bill",
        *(f"SELECT FROM {table}" for table in OPERATORS_OWN),
    ],
)
async def test_no_way_out(serving: "Connection", escape: str) -> None:
    """The serving role cannot take the guard away or become somebody else."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await serving.execute(escape)


async def test_owner_sees_nothing(service: Service, shop: Shop) -> None:
    """Not even the owner of the tables is let around row-level security."""
    async with service.database(service.urls.owner) as owner:
        assert await seen(owner) == everywhere()


async def refusal_to_serve(url: str) -> str:
    """Return why the server does not serve from a database."""
    with pytest.raises(StorageError) as refused:
        async with Database.connect(url, pool_size=1, lock_timeout=1):
            pass
    return str(refused.value)


def as_role(service: Service, role: str) -> str:
    """Return the address of the database, as another role."""
    return service.urls.serving.replace("patron_serving@", f"{role}@")


async def test_refuses_to_serve_unguarded(service: Service) -> None:
    """The server does not start as a superuser or as a role that bypasses row-level security."""
    superuser = as_role(service, "postgres")
    assert "superuser" in await refusal_to_serve(superuser)

    role = f"bypassing_{uuid4().hex}"
    async with service.database(superuser) as database:
        await database.execute(f"CREATE ROLE {role} LOGIN BYPASSRLS IN ROLE patron_serving")
        try:
            assert "BYPASSRLS" in await refusal_to_serve(as_role(service, role))
        finally:
            await database.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("role", ["patron_maintenance", "patron_owner"])
async def test_refuses_to_serve_as_an_operator(service: Service, role: str) -> None:
    """The server does not start as a role that sees every merchant or owns the tables."""
    assert "kept apart" in await refusal_to_serve(as_role(service, role))


async def test_refuses_to_serve_without_schema(service: Service) -> None:
    """The server does not start on a database without its schema, and says what to do."""
    name = f"empty_{uuid4().hex}"
    async with service.database(as_role(service, "postgres")) as database:
        await database.execute(f"CREATE DATABASE {name}")
        try:
            refused = await refusal_to_serve(service.urls.serving.replace("/patron?", f"/{name}?"))
        finally:
            await database.execute(f"DROP DATABASE {name}")

    assert "patron db migrate" in refused
