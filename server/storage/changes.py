"""The end of every write: one statement that changes rows, and says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import update
from sqlalchemy.sql.dml import UpdateBase

from server.storage.schema import audit_log, idempotency, merchant
from server.storage.statements import Statement, arrays, insert_rows, of_merchant, parameter

_AUDIT: Final = ("ordinal", "action", "resource_id", "before", "after")

REMEMBER: Final = (
    update(idempotency)
    .where(
        of_merchant(idempotency),
        idempotency.c.request_id == parameter(idempotency.c.request_id),
    )
    .values({name: parameter(idempotency.c[name]) for name in ("answer", "revision")})
)
"""Keeps the answer of the request; does nothing where there is no request id."""


def change(*changes: UpdateBase) -> Statement:
    """Return the changes with all that goes with them, as one statement.

    It also writes the audit records, keeps the answer, and moves the merchant's revision and bill
    number on. Its parameters are those of the changes, of `audit_arguments` and `REMEMBER`, and
    `revision`, `next_bill_number`, `happened_at` and `actor`.
    """
    audit = insert_rows(audit_log, *_AUDIT, same=("revision", "happened_at", "actor"))
    statement = (
        update(merchant)
        .where(of_merchant(merchant))
        .values(
            revision=parameter(merchant.c.revision),
            next_bill_number=parameter(merchant.c.next_bill_number),
        )
    )
    named = [*changes, audit, REMEMBER]
    return Statement(
        statement.add_cte(*(each.cte(f"change_{at}") for at, each in enumerate(named)))
    )


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What happened to one resource; texts are JSON."""

    action: str
    resource_id: UUID
    before: str | None = None
    after: str | None = None


def as_json(value: object) -> str:
    """Return a value of the domain as it is kept."""
    return msgspec.json.encode(value).decode()


def audit_arguments(records: Sequence[AuditRecord]) -> dict[str, Any]:
    """Return the parameters of the audit records."""
    return arrays(
        audit_log,
        _AUDIT,
        [
            (ordinal, record.action, record.resource_id, record.before, record.after)
            for ordinal, record in enumerate(records)
        ],
    )
