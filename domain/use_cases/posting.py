"""From drafts of bills to all that one write changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from domain.errors import (
    AlreadyExistsError,
    FieldViolation,
    NotFoundError,
    Reason,
    invalid_field,
)
from domain.model.bill import Bill, BillDraft, Payment, Totals, check, totals
from domain.model.customer import Customer
from domain.model.ledger import Account, EntryKind, FreeCredit, OpenDebit
from domain.model.rollups import Visits
from domain.ports import BillReference, Entry, PhoneParser, Posting, Resolved, WriteTransaction


@dataclass(frozen=True, slots=True)
class _Item:
    """One draft of a request, checked."""

    draft: BillDraft
    place: str
    """Where the draft stands in the request, such as `bills[17]`."""
    sums: Totals
    reference: BillReference

    def ids(self) -> Iterator[tuple[str, UUID]]:
        """Yield the ids that the draft gives to ledger entries, each after its place."""
        yield f"{self.place}.id", self.reference.bill_id
        for index, payment in enumerate(self.draft.payments):
            if payment.id is not None:
                yield f"{self.place}.payments[{index}].id", payment.id


class BillPosting:
    """Collects the posting of one write, draft by draft."""

    def __init__(self, transaction: WriteTransaction, phones: PhoneParser, now: datetime) -> None:
        self.posting = Posting()
        self.existing: list[UUID] = []
        """The ids of the bills that are there already."""
        self._transaction = transaction
        self._merchant = transaction.merchant
        self._phones = phones
        self._now = now
        self._created: dict[tuple[str | None, str | None], UUID] = {}
        self._accounts: dict[UUID, Account] = {}
        self._visits: dict[UUID, Visits] = {}

    async def enter(self, drafts: Sequence[BillDraft], places: Sequence[str]) -> None:
        """Enter the drafts in their order; each stands at its place in the request.

        Raises:
            InvalidRequestError: A draft does not fit itself or the merchant, or an id comes twice.
            NotFoundError: The merchant has no customer of a given id.
            AlreadyExistsError: An id is that of another bill or payment.
        """
        items = [self._item(draft, place) for draft, place in zip(drafts, places, strict=True)]
        ids = _distinct_ids(items)
        resolved, taken = await self._transaction.resolve([item.reference for item in items], ids)
        await self._load(resolved)
        for item, found in zip(items, resolved, strict=True):
            if found.digest is None:
                _refuse_taken(item, taken)
                self._post(item, self._customer(item, found))
            elif found.digest == item.draft.digest:
                self.existing.append(item.reference.bill_id)
            else:
                raise AlreadyExistsError(
                    Reason.BILL_ALREADY_EXISTS,
                    "another request created a bill of this id",
                    violations=[FieldViolation(f"{item.place}.id", "is another bill's")],
                )

    def _item(self, draft: BillDraft, place: str) -> _Item:
        sums = totals(draft.lines, place)
        check(draft, sums.total_minor, self._merchant, self._now, place)
        reference = BillReference(
            bill_id=draft.id or uuid4(),
            customer_id=draft.customer_id,
            phone=draft.phone
            and self._phones(draft.phone, self._merchant.region, f"{place}.phone"),
            external_id=draft.external_id,
            business_day=self._merchant.business_day(draft.billed_at or self._now),
        )
        return _Item(draft, place, sums, reference)

    async def _load(self, resolved: Sequence[Resolved]) -> None:
        """Load what decides of the customers that are there."""
        by_customer: dict[UUID, list[Resolved]] = {}
        for found in resolved:
            if found.digest is None and found.customer_id is not None:
                by_customer.setdefault(found.customer_id, []).append(found)
        self._visits = {
            customer_id: Visits(day for found in references for day in found.visits)
            for customer_id, references in by_customer.items()
        }
        unsettled = {
            customer_id
            for customer_id, references in by_customer.items()
            if any(found.has_open_items for found in references)
        }
        if unsettled:
            self._accounts = await self._transaction.accounts(list(unsettled))

    def _customer(self, item: _Item, found: Resolved) -> UUID | None:
        if item.draft.is_walk_in or found.customer_id is not None:
            return found.customer_id
        reference = item.reference
        if reference.customer_id is not None:
            raise NotFoundError(
                Reason.CUSTOMER_NOT_FOUND,
                "no such customer",
                violations=[FieldViolation(f"{item.place}.customer_id", "is no customer's")],
            )
        who = (reference.phone, reference.external_id)
        if who not in self._created:
            self._created[who] = self._new_customer(item.draft, reference)
        return self._created[who]

    def _new_customer(self, draft: BillDraft, reference: BillReference) -> UUID:
        customer = Customer(
            id=uuid4(),
            external_id=reference.external_id or "",
            name=draft.customer_name,
            phone=reference.phone or "",
            note="",
            created_at=self._now,
            updated_at=self._now,
            revision=self._transaction.revision,
        )
        self.posting.customers.append(customer)
        return customer.id

    def _post(self, item: _Item, customer_id: UUID | None) -> None:
        draft, sums, reference = item.draft, item.sums, item.reference
        billed_at = draft.billed_at or self._now
        payments = tuple(
            Payment(
                payment.id or uuid4(),
                payment.amount_minor,
                payment.method,
                payment.paid_at or billed_at,
            )
            for payment in draft.payments
        )
        debit = self._debit(draft, sums, reference, customer_id, billed_at)
        credits_ = [self._credit(payment, reference, customer_id) for payment in payments]
        self._settle(customer_id, debit, credits_)
        self._count(customer_id, reference, sums)
        bill = Bill(
            id=reference.bill_id,
            number=self._transaction.next_bill_number + len(self.posting.bills),
            customer_id=customer_id,
            client_reference=draft.client_reference,
            currency=draft.currency,
            lines=draft.lines,
            totals=sums,
            open_minor=debit.open_minor,
            payments=payments,
            billed_at=billed_at,
            business_day=reference.business_day,
            due_on=draft.due_on,
            note=draft.note,
            created_at=self._now,
            revision=self._transaction.revision,
        )
        self.posting.bills.append((bill, draft.digest))

    def _debit(
        self,
        draft: BillDraft,
        sums: Totals,
        reference: BillReference,
        customer_id: UUID | None,
        billed_at: datetime,
    ) -> OpenDebit:
        entry = Entry(
            id=reference.bill_id,
            kind=EntryKind.BILL,
            bill_id=reference.bill_id,
            customer_id=customer_id,
            amount_minor=sums.total_minor,
            entered_on=reference.business_day,
            due_on=draft.due_on,
            ordinal=len(self.posting.entries),
            method=None,
            instant=billed_at,
        )
        self.posting.entries.append(entry)
        return OpenDebit(
            entry.id,
            entry.bill_id,
            entry.entered_on,
            entry.due_on,
            self._transaction.revision,
            entry.ordinal,
            entry.amount_minor,
        )

    def _credit(
        self, payment: Payment, reference: BillReference, customer_id: UUID | None
    ) -> FreeCredit:
        entry = Entry(
            id=payment.id,
            kind=EntryKind.PAYMENT,
            bill_id=reference.bill_id,
            customer_id=customer_id,
            amount_minor=payment.amount_minor,
            entered_on=self._merchant.business_day(payment.paid_at),
            due_on=None,
            ordinal=len(self.posting.entries),
            method=payment.method.value,
            instant=payment.paid_at,
        )
        self.posting.entries.append(entry)
        self.posting.deltas.add_paid(entry.entered_on, entry.amount_minor)
        return FreeCredit(
            entry.id,
            entry.entered_on,
            self._transaction.revision,
            entry.ordinal,
            entry.amount_minor,
        )

    def _settle(
        self, customer_id: UUID | None, debit: OpenDebit, payments: Sequence[FreeCredit]
    ) -> None:
        if customer_id is None:
            # A walk-in's payments sum up to the bill: nothing stays open or free.
            self.posting.allocations += Account().enter(debit, payments)
            return
        account = self._accounts.setdefault(customer_id, Account())
        allocations = account.enter(debit, payments)
        self.posting.allocations += allocations
        deltas = self.posting.deltas
        deltas.add_outstanding(customer_id, debit.entered_on, debit.open_minor)
        self.posting.debits[debit.entry_id] = (customer_id, debit)
        for credit in payments:
            deltas.add_credit(customer_id, credit.free_minor)
            self.posting.credits[credit.entry_id] = (customer_id, credit)
        own = {credit.entry_id for credit in payments}
        for allocation in allocations:
            if allocation.debit is not debit:
                other = allocation.debit
                deltas.add_outstanding(customer_id, other.entered_on, -allocation.amount_minor)
                self.posting.debits[other.entry_id] = (customer_id, other)
            if allocation.credit.entry_id not in own:
                deltas.add_credit(customer_id, -allocation.amount_minor)
                self.posting.credits[allocation.credit.entry_id] = (customer_id, allocation.credit)

    def _count(self, customer_id: UUID | None, reference: BillReference, sums: Totals) -> None:
        day = reference.business_day
        self.posting.deltas.add_bill(customer_id, day, sums.total_minor)
        if customer_id is None:
            return
        visit = self._visits.setdefault(customer_id, Visits()).add(day)
        if visit is not None:
            self.posting.deltas.add_visit(customer_id, visit)


def _distinct_ids(items: Sequence[_Item]) -> list[UUID]:
    """Return the ids that the request gives to ledger entries.

    Raises:
        InvalidRequestError: One comes twice.
    """
    found: dict[UUID, str] = {}
    for item in items:
        for place, id_ in item.ids():
            if id_ in found:
                raise invalid_field(place, f"is the id at {found[id_]} too")
            found[id_] = place
    return list(found)


def _refuse_taken(item: _Item, taken: frozenset[UUID]) -> None:
    violations = [
        FieldViolation(place, "is the id of another bill or payment")
        for place, id_ in item.ids()
        if id_ in taken
    ]
    if violations:
        raise AlreadyExistsError(
            Reason.PAYMENT_ALREADY_EXISTS,
            "an id is that of another bill or payment",
            violations=violations,
        )
