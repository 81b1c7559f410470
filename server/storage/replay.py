"""Allocating the ledger anew, entry by entry, by the rules of the domain."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import func, select

from domain.model.ledger import Account, EntryKind, FreeCredit, OpenDebit
from server.storage.schema import allocation, ledger_entry
from server.storage.statements import Statement, of_merchant

_PREFETCH: Final = 5000
_STORED: Final = msgspec.json.Decoder(list[tuple[UUID, int]])

# A walk-in's entries make up an account of their own: they are grouped by the bill.
_ACCOUNT: Final = func.coalesce(ledger_entry.c.customer_id, ledger_entry.c.bill_id)
_ENTRIES: Final = Statement(
    select(
        _ACCOUNT.label("account"),
        ledger_entry,
        select(
            func.json_agg(func.json_build_array(allocation.c.debit_id, allocation.c.amount_minor))
        )
        .where(of_merchant(allocation), allocation.c.credit_id == ledger_entry.c.entry_id)
        .scalar_subquery()
        .label("allocations"),
    )
    .where(of_merchant(ledger_entry))
    .order_by(_ACCOUNT, ledger_entry.c.revision, ledger_entry.c.ordinal)
)


@dataclass(frozen=True, slots=True)
class DifferentAllocation:
    """How much of a credit pays a debit, and how much of it ought to."""

    credit_id: UUID
    debit_id: UUID
    stored_minor: int
    replayed_minor: int


async def replayed_allocations(
    connection: "asyncpg.Connection[asyncpg.Record]", merchant_id: UUID
) -> AsyncIterator[DifferentAllocation]:
    """Yield the allocations of a merchant that a replay does not make in the same way."""
    arguments = _ENTRIES.arguments({"merchant_id": merchant_id})
    entries: list[asyncpg.Record] = []
    async for entry in connection.cursor(_ENTRIES.sql, *arguments, prefetch=_PREFETCH):
        if entries and entries[0]["account"] != entry["account"]:
            for different in _compare(entries):
                yield different
            entries = []
        entries.append(entry)
    for different in _compare(entries):
        yield different


def _compare(entries: Sequence[asyncpg.Record]) -> Iterator[DifferentAllocation]:
    stored: Counter[tuple[UUID, UUID]] = Counter()
    for entry in entries:
        if entry["allocations"]:
            for debit_id, amount_minor in _STORED.decode(entry["allocations"]):
                stored[entry["entry_id"], debit_id] += amount_minor
    replayed = _replay(entries)
    for pair in stored.keys() | replayed.keys():
        if stored[pair] != replayed[pair]:
            yield DifferentAllocation(*pair, stored[pair], replayed[pair])


def _replay(entries: Sequence[asyncpg.Record]) -> Counter[tuple[UUID, UUID]]:
    """Return how much each credit pays of each debit when the entries of an account come anew."""
    account = Account()
    paid: Counter[tuple[UUID, UUID]] = Counter()
    # A bill's debit is followed by the payments that it carried.
    for _, posted in groupby(entries, key=lambda entry: (entry["revision"], entry["bill_id"])):
        debit, *credits_ = posted
        if debit["kind"] != EntryKind.BILL:
            continue  # Payments that are in another account than their bill pay nothing.
        for made in account.enter(_debit(debit), list(map(_credit, credits_))):
            paid[made.credit.entry_id, made.debit.entry_id] += made.amount_minor
    return paid


def _debit(entry: asyncpg.Record) -> OpenDebit:
    return OpenDebit(
        entry["entry_id"],
        entry["bill_id"],
        entry["entered_on"],
        entry["due_on"],
        entry["revision"],
        entry["ordinal"],
        entry["amount_minor"],
    )


def _credit(entry: asyncpg.Record) -> FreeCredit:
    return FreeCredit(
        entry["entry_id"],
        entry["entered_on"],
        entry["revision"],
        entry["ordinal"],
        entry["amount_minor"],
    )
