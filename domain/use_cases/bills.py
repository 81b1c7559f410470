"""Keeping bills and what is paid of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.errors import PatronError, invalid_field
from domain.model.bill import Bill, BillDraft
from domain.model.caller import Caller
from domain.model.merchant import Revision
from domain.model.paging import Page, PageRequest
from domain.model.request import RequestKey, Written
from domain.ports import (
    BillFilter,
    BillReader,
    Clock,
    PhoneParser,
    Writer,
    WriteTransaction,
)
from domain.use_cases.posting import BillPosting


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    created_bills: int
    existing_bills: int
    revision: Revision


@dataclass(frozen=True, slots=True)
class BatchCount:
    """What one batch of an import did."""

    created: int
    existing: int


class Bills:
    """The bills of the caller's merchant."""

    def __init__(
        self, writer: Writer, reader: BillReader, phones: PhoneParser, clock: Clock
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._phones = phones
        self._clock = clock

    async def create(self, caller: Caller, key: RequestKey, draft: BillDraft) -> Written[Bill]:
        """Create a bill, or return the one that the same draft created under its id before.

        The bill, its customer where it is new, its ledger entries and the changed totals are
        written all or nothing.

        Raises:
            InvalidRequestError: The draft does not fit itself or the merchant.
            NotFoundError: The merchant has no customer of the given id.
            AlreadyExistsError: The id is another bill's, or a payment's id another payment's.
        """

        async def work(transaction: WriteTransaction) -> Bill:
            entering = BillPosting(transaction, self._phones, self._clock())
            await entering.enter([draft], ["bill"])
            if entering.existing:
                bill = await transaction.bill(entering.existing[0])
                await transaction.remember(bill)
            else:
                bill = entering.posting.bills[0][0]
                await transaction.post(entering.posting, bill)
            return bill

        return await self._writer.write(caller, key, Bill, work)

    async def get(self, caller: Caller, bill_id: UUID) -> Bill:
        """Return one bill; raises NotFoundError."""
        return await self._reader.get(caller, bill_id)

    async def list(self, caller: Caller, wanted: BillFilter, page: PageRequest) -> Page[Bill]:
        """Return bills, the latest business day and highest number first."""
        return await self._reader.list(caller, wanted, page)

    async def import_batches(
        self, caller: Caller, batches: AsyncIterator[Sequence[BillDraft]]
    ) -> Imported:
        """Create the bills of each batch, all or nothing, and leave those that are there.

        Raises:
            InvalidRequestError: There is no batch.
            PatronError: As `create`; the metadata `batch` has the number of the refused batch. The
                batches before it are written.
        """
        created = existing = number = 0
        revision = None
        try:
            async for drafts in batches:
                written = await self._import(caller, drafts)
                created += written.value.created
                existing += written.value.existing
                revision = written.revision
                number += 1
        except PatronError as error:
            error.metadata["batch"] = str(number)
            raise
        if revision is None:
            raise invalid_field("bills", "an import must have at least one batch")
        return Imported(created, existing, revision)

    async def _import(self, caller: Caller, drafts: Sequence[BillDraft]) -> Written[BatchCount]:
        async def work(transaction: WriteTransaction) -> BatchCount:
            entering = BillPosting(transaction, self._phones, self._clock())
            await entering.enter(drafts, [f"bills[{index}]" for index in range(len(drafts))])
            count = BatchCount(len(entering.posting.bills), len(entering.existing))
            if count.created:
                await transaction.post(entering.posting, count)
            return count

        return await self._writer.write(caller, None, BatchCount, work)
