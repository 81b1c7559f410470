"""Keeping customers."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from domain.errors import (
    AbortedError,
    AlreadyExistsError,
    FieldViolation,
    NotFoundError,
    Reason,
)
from domain.model.caller import Caller
from domain.model.customer import Customer, CustomerDraft, CustomerUpdate
from domain.model.paging import Page, PageRequest
from domain.model.request import RequestKey, Written
from domain.ports import Clock, CustomerReader, PhoneParser, Writer, WriteTransaction


class Customers:
    """The customers of the caller's merchant."""

    def __init__(
        self, writer: Writer, reader: CustomerReader, phones: PhoneParser, clock: Clock
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._phones = phones
        self._clock = clock

    async def create(
        self, caller: Caller, key: RequestKey, draft: CustomerDraft
    ) -> Written[Customer]:
        """Create a customer, or return the one that the same draft created under its id before.

        Raises:
            AlreadyExistsError: The id, the phone or the external id is another customer's.
            InvalidRequestError: The phone cannot be one in the merchant's region.
        """

        async def work(transaction: WriteTransaction) -> Customer:
            return await self._create(transaction, draft, self._clock())

        return await self._writer.write(caller, key, Customer, work)

    async def get(self, caller: Caller, customer_id: UUID) -> Customer:
        """Return one customer; raises NotFoundError."""
        return await self._reader.get(caller, customer_id)

    async def list(self, caller: Caller, page: PageRequest) -> Page[Customer]:
        """Return customers in the order of their creation."""
        return await self._reader.list(caller, page)

    async def update(
        self, caller: Caller, key: RequestKey, update: CustomerUpdate
    ) -> Written[Customer]:
        """Change some fields of a customer; one that already is as asked stays as it is.

        Raises:
            NotFoundError: The merchant has no such customer.
            AbortedError: The etag is not the customer's any more.
            AlreadyExistsError: The phone or the external id is another customer's.
            InvalidRequestError: The phone cannot be one in the merchant's region.
        """

        async def work(transaction: WriteTransaction) -> Customer:
            return await self._update(transaction, update, self._clock())

        return await self._writer.write(caller, key, Customer, work)

    async def _create(
        self, transaction: WriteTransaction, draft: CustomerDraft, now: datetime
    ) -> Customer:
        phone = self._phone(transaction, draft.phone)
        found = await transaction.find_customers(draft.id, phone, draft.external_id)
        for there, digest in found:
            if there.id == draft.id and digest == draft.digest:
                await transaction.remember(there)
                return there
        customer = Customer(
            id=draft.id or uuid4(),
            external_id=draft.external_id,
            name=draft.name,
            phone=phone,
            note=draft.note,
            created_at=now,
            updated_at=now,
            revision=transaction.revision,
        )
        _refuse_taken(customer, [there for there, _ in found])
        await transaction.insert_customer(customer, draft.digest)
        return customer

    async def _update(
        self, transaction: WriteTransaction, update: CustomerUpdate, now: datetime
    ) -> Customer:
        values: dict[str, Any] = dict(update.values)
        if "phone" in values:
            values["phone"] = self._phone(transaction, values["phone"])
        found = await transaction.find_customers(
            update.id, values.get("phone", ""), values.get("external_id", "")
        )
        before = next((there for there, _ in found if there.id == update.id), None)
        if before is None:
            raise NotFoundError(Reason.CUSTOMER_NOT_FOUND, "no such customer")
        if update.etag not in ("", before.etag):
            raise AbortedError(Reason.ETAG_STALE, "the customer has changed since it was read")
        after = replace(before, **values)
        if after == before:
            await transaction.remember(before)
            return before
        _refuse_taken(after, [there for there, _ in found if there.id != update.id])
        after = replace(after, updated_at=now, revision=transaction.revision)
        await transaction.update_customer(before, after)
        return after

    def _phone(self, transaction: WriteTransaction, text: str) -> str:
        return self._phones(text, transaction.merchant.region, "customer.phone") if text else ""


def _refuse_taken(customer: Customer, others: list[Customer]) -> None:
    if any(other.id == customer.id for other in others):
        raise AlreadyExistsError(
            Reason.CUSTOMER_ALREADY_EXISTS, "another request created a customer of this id"
        )
    for other in sorted(others, key=lambda other: other.phone != customer.phone):
        if customer.phone and other.phone == customer.phone:
            raise AlreadyExistsError(
                Reason.PHONE_TAKEN,
                "the phone is another customer's",
                metadata={"customer_id": str(other.id)},
                violations=[FieldViolation("customer.phone", "is another customer's")],
            )
        if customer.external_id and other.external_id == customer.external_id:
            raise AlreadyExistsError(
                Reason.EXTERNAL_ID_TAKEN,
                "the external id is another customer's",
                metadata={"customer_id": str(other.id)},
                violations=[FieldViolation("customer.external_id", "is another customer's")],
            )
