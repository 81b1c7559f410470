"""What one write reads and changes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.model.bill import Bill
from domain.model.customer import Customer
from domain.model.feedback import Feedback
from domain.model.ledger import Account
from domain.model.merchant import Merchant
from domain.ports import BillReference, Posting, Resolved
from server.storage import bills, customers, feedback
from server.storage.changes import REMEMBER, AuditRecord, as_json, audit_arguments
from server.storage.database import Transaction
from server.storage.posting import POST, posting_arguments
from server.storage.records import to_bill, to_customer, to_feedback
from server.storage.resolution import (
    ACCOUNTS,
    RESOLVE,
    resolve_arguments,
    to_accounts,
    to_resolved,
)
from server.storage.statements import Statement

_REMEMBER = Statement(REMEMBER)


class PostgresWriteTransaction:
    """One write of one merchant, whose row it holds; a `domain.ports.WriteTransaction`."""

    def __init__(
        self,
        transaction: Transaction,
        *,
        merchant: Merchant,
        next_bill_number: int,
        request_id: UUID | None,
        actor: str,
        now: datetime,
    ) -> None:
        self.merchant = merchant
        self.revision = merchant.revision.number + 1
        self.next_bill_number = next_bill_number
        self.reached = merchant.revision.number
        """The number of the merchant's revision after what was written so far."""
        self._transaction = transaction
        self._request_id = request_id
        self._actor = actor
        self._now = now

    async def find_customers(
        self, customer_id: UUID | None, phone: str, external_id: str
    ) -> list[tuple[Customer, bytes]]:
        values = {
            "customer_id": customer_id,
            "phone": phone or None,
            "external_id": external_id or None,
        }
        rows = await self._transaction.fetch(customers.FIND, values)
        return [(to_customer(row), row["digest"]) for row in rows]

    async def insert_customer(self, customer: Customer, digest: bytes) -> None:
        audit = AuditRecord("customer.create", customer.id, after=as_json(customer))
        values = customers.creation_arguments([(customer, digest)])
        await self._change(customers.INSERT, values | audit_arguments([audit]), customer)

    async def update_customer(self, before: Customer, after: Customer) -> None:
        audit = AuditRecord("customer.update", after.id, as_json(before), as_json(after))
        values = customers.update_arguments(before, after)
        await self._change(customers.UPDATE, values | audit_arguments([audit]), after)

    async def resolve(
        self, references: Sequence[BillReference], entry_ids: Sequence[UUID]
    ) -> tuple[list[Resolved], frozenset[UUID]]:
        rows = await self._transaction.fetch(RESOLVE, resolve_arguments(references, entry_ids))
        return [to_resolved(row) for row in rows], frozenset(rows[0]["taken"] or ())

    async def accounts(self, customer_ids: Sequence[UUID]) -> dict[UUID, Account]:
        return to_accounts(await self._transaction.fetch(ACCOUNTS, {"customer_ids": customer_ids}))

    async def bill(self, bill_id: UUID) -> Bill:
        (row,) = await self._transaction.fetch(bills.FIND, {"bill_id": bill_id})
        return to_bill(row)

    async def post(self, posting: Posting, answer: object) -> None:
        self.next_bill_number += len(posting.bills)
        await self._change(POST, posting_arguments(posting), answer)

    async def find_feedback(
        self, feature: str, subject: str, since: datetime
    ) -> tuple[Feedback | None, int]:
        values = {"feature": feature, "subject": subject, "since": since}
        (row,) = await self._transaction.fetch(feedback.FIND, values)
        return None if row["feedback_id"] is None else to_feedback(row), row["counted"]

    async def put_feedback(self, before: Feedback | None, after: Feedback) -> None:
        there = None if before is None else as_json(before)
        audit = AuditRecord("feedback.send", after.id, there, as_json(after))
        values = feedback.put_arguments(after)
        await self._change(feedback.PUT, values | audit_arguments([audit]), after)

    async def remember(self, answer: object) -> None:
        reached = {"revision": self.reached}
        await self._transaction.fetch(_REMEMBER, reached | self._answer(answer))

    async def _change(self, statement: Statement, values: dict[str, Any], answer: object) -> None:
        changed = {
            "revision": self.revision,
            "next_bill_number": self.next_bill_number,
            "happened_at": self._now,
            "actor": self._actor,
        }
        await self._transaction.fetch(statement, values | changed | self._answer(answer))
        self.reached = self.revision

    def _answer(self, answer: object) -> dict[str, Any]:
        return {"request_id": self._request_id, "answer": as_json(answer)}
