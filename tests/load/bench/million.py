"""Two merchants with the same customers and days: one has a hundred times the bills of the other.

They are loaded by COPY and `patron db rebuild`, and kept for later runs.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from server.storage.merchants import Merchants
from server.storage.migrate import head
from tests.load.bench.lab import Lab, say
from tests.load.bench.places import FOLDER
from tests.load.world import calls
from tests.load.world.databases import Databases, running_databases
from tests.load.world.errors import NotMeasured
from tests.load.world.places import REPOSITORY

MANY: Final = 1_000_000
FEW: Final = MANY // 100
MANY_MERCHANT: Final = 1001
FEW_MERCHANT: Final = 1002
FIRST_DAY: Final = date(2024, 1, 1)
DAYS: Final = 400
_CUSTOMERS: Final = 50_000
_STRIDE: Final = 7919
"""A prime: bill after bill is another customer's, and none of them is left out."""
_BATCH: Final = 50_000
_MADE_BY: Final = 1
"""Raised when other rows are made."""
_REBUILD_SECONDS: Final = 900

_COLUMNS: Final = {
    "customer": (
        *("merchant_id", "customer_id", "name", "note", "created_at", "updated_at", "revision"),
    ),
    "bill": (
        *("merchant_id", "bill_id", "number", "customer_id", "client_reference", "currency"),
        *("subtotal_minor", "discount_minor", "tax_minor", "billed_at", "business_day", "note"),
        *("created_at", "revision", "digest"),
    ),
    "bill_line": (
        *("merchant_id", "bill_id", "position", "description", "quantity_milli"),
        *("unit_price_minor", "discount_minor", "tax_minor"),
    ),
    "ledger_entry": (
        *("merchant_id", "entry_id", "kind", "bill_id", "customer_id", "amount_minor"),
        *("entered_on", "happened_at", "payment_method", "revision", "ordinal"),
    ),
    "allocation": (
        *("merchant_id", "revision", "ordinal", "credit_id", "debit_id", "amount_minor"),
    ),
}


@contextmanager
def open_million(lab: Lab) -> Iterator[Databases]:
    """Lend the databases of the two merchants, loaded unless they are there already."""
    many = lab.effort.count(MANY)
    made_of = {"schema": head(), "bills": many, "made_by": _MADE_BY}
    folder = FOLDER / f"bills-{many}"
    ready = folder / "ready.json"
    if not ready.exists() or json.loads(ready.read_text(encoding="utf-8")) != made_of:
        shutil.rmtree(folder, ignore_errors=True)
        begun = time.monotonic()
        with lab.cores.both():
            _load(folder.resolve(), many)
        ready.write_text(json.dumps(made_of), encoding="utf-8")
        say(f"loaded in {time.monotonic() - begun:.0f} s")
    with running_databases(folder) as databases:
        yield databases


def _load(folder: Path, many: int) -> None:
    with running_databases(folder) as databases:
        asyncio.run(_copy(databases, MANY_MERCHANT, many))
        asyncio.run(_copy(databases, FEW_MERCHANT, many // 100))
        # Without knowing how many rows there are, PostgreSQL would join them one by one.
        asyncio.run(_tidy(databases))
        say("rebuilding the totals")
        outcome = subprocess.run(
            [sys.executable, "-m", "server.cli", "db", "rebuild", "--data-dir", str(folder)],
            cwd=REPOSITORY,
            check=False,
            capture_output=True,
            text=True,
            timeout=_REBUILD_SECONDS,
        )
        if outcome.returncode:
            raise NotMeasured(f"the totals cannot be rebuilt:\n{outcome.stderr}")
        asyncio.run(_tidy(databases))


async def _copy(databases: Databases, merchant: int, bills: int) -> None:
    say(f"copying {bills:,} bills")
    merchant_id = calls.merchant_id(merchant)
    async with Merchants.connect(databases.urls.maintenance) as merchants:
        await merchants.create(merchant_id, f"{bills} bills", calls.CURRENCY, "UTC", "US")
    connection = await asyncpg.connect(databases.superuser_url)
    try:
        # The rows refer to each other as they should; looking up each would take minutes.
        await connection.execute("SET session_replication_role = replica")
        for table, rows in _tables(merchant_id, bills).items():
            columns = _COLUMNS[table]
            while batch := list(islice(rows, _BATCH)):
                await connection.copy_records_to_table(table, records=batch, columns=columns)
        await connection.execute(
            "UPDATE merchant SET revision = $2, next_bill_number = $3 WHERE merchant_id = $1",
            merchant_id,
            bills,
            bills + 1,
        )
    finally:
        await connection.close()


async def _tidy(databases: Databases) -> None:
    """Do now what PostgreSQL would do some time later, in the middle of a measurement."""
    connection = await asyncpg.connect(databases.superuser_url)
    try:
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _tables(merchant_id: UUID, bills: int) -> dict[str, Iterator[tuple[Any, ...]]]:
    numbers = range(1, bills + 1)
    noon = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, 12, tzinfo=UTC)
    instants = [noon + timedelta(days=day) for day in range(DAYS)]
    made = _Maker(merchant_id, bills, instants)
    return {
        "customer": map(made.customer, range(_CUSTOMERS)),
        "bill": map(made.bill, numbers),
        "bill_line": map(made.line, numbers),
        "ledger_entry": _flat(map(made.entries, numbers)),
        "allocation": map(made.allocation, numbers),
    }


def _flat(groups: Iterable[Iterable[tuple[Any, ...]]]) -> Iterator[tuple[Any, ...]]:
    return (row for group in groups for row in group)


class _Maker:
    """Makes the rows of a merchant, bill by bill, evenly over the days; each is paid in cash."""

    def __init__(self, merchant_id: UUID, bills: int, instants: list[datetime]) -> None:
        self._merchant_id = merchant_id
        self._bills = bills
        self._instants = instants

    def customer(self, index: int) -> tuple[Any, ...]:
        at = self._instants[0]
        name = f"Customer {index}"
        return self._merchant_id, _customer_id(index), name, "", at, at, 0

    def bill(self, number: int) -> tuple[Any, ...]:
        at, amount = self._at(number), _amount(number)
        identity = (self._merchant_id, _bill_id(number), number, _customer_of(number))
        money = ("", calls.CURRENCY, amount, 0, 0)
        return (*identity, *money, at, at.date(), "", at, number, b"")

    def line(self, number: int) -> tuple[Any, ...]:
        return self._merchant_id, _bill_id(number), 0, "Tea", 1000, _amount(number), 0, 0

    def entries(self, number: int) -> Iterator[tuple[Any, ...]]:
        at, amount = self._at(number), _amount(number)
        bill_id, customer_id = _bill_id(number), _customer_of(number)
        for ordinal, (entry_id, kind, method) in enumerate(
            [(bill_id, "bill", None), (_payment_id(number), "payment", "cash")]
        ):
            what = (self._merchant_id, entry_id, kind, bill_id, customer_id, amount)
            yield (*what, at.date(), at, method, number, ordinal)

    def allocation(self, number: int) -> tuple[Any, ...]:
        ids = (_payment_id(number), _bill_id(number))
        return (self._merchant_id, number, 0, *ids, _amount(number))

    def _at(self, number: int) -> datetime:
        return self._instants[(number - 1) * len(self._instants) // self._bills]


def _amount(number: int) -> int:
    return 100 + number % 9_900


def _customer_of(number: int) -> UUID:
    return _customer_id(number * _STRIDE % _CUSTOMERS)


# Ids in the order of the numbers: an index grows at its end, which loads faster.
def _customer_id(index: int) -> UUID:
    return UUID(int=(1 << 64) + index)


def _bill_id(number: int) -> UUID:
    return UUID(int=(2 << 64) + number)


def _payment_id(number: int) -> UUID:
    return UUID(int=(3 << 64) + number)
