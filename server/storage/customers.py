"""Customers in PostgreSQL."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Text, any_, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import array

from domain.errors import NotFoundError, Reason
from domain.model.caller import Caller
from domain.model.customer import Customer
from domain.model.paging import Page, PageRequest
from server.storage.changes import change
from server.storage.database import Database
from server.storage.records import CUSTOMER, to_customer
from server.storage.schema import customer, customer_phone
from server.storage.statements import (
    Statement,
    arrays,
    insert_rows,
    of_merchant,
    page_of,
    parameter,
)

_ROW: Final = (
    "customer_id",
    "external_id",
    "name",
    "phone",
    "note",
    "created_at",
    "updated_at",
    "digest",
)
_PHONE: Final = ("phone", "customer_id")

CREATIONS: Final = (
    insert_rows(customer, *_ROW, same=("revision",)),
    insert_rows(customer_phone, *_PHONE),
)
"""Create customers."""

INSERT: Final = change(*CREATIONS)
"""Creates customers, and nothing else."""

_CHANGED: Final = ("external_id", "name", "phone", "note", "updated_at", "revision")

UPDATE: Final = change(
    update(customer)
    .where(of_merchant(customer), customer.c.customer_id == parameter(customer.c.customer_id))
    .values({name: parameter(customer.c[name]) for name in _CHANGED}),
    delete(customer_phone).where(
        of_merchant(customer_phone),
        customer_phone.c.phone == any_(bindparam("left_phones", type_=ARRAY(Text))),
    ),
    insert_rows(customer_phone, *_PHONE),
)
"""Changes a customer."""

_BY_PHONE: Final = select(customer_phone.c.customer_id).where(
    of_merchant(customer_phone), customer_phone.c.phone == parameter(customer_phone.c.phone)
)
_OTHER: Final = customer.alias("other")
_BY_EXTERNAL_ID: Final = select(_OTHER.c.customer_id).where(
    of_merchant(_OTHER), _OTHER.c.external_id == parameter(customer.c.external_id)
)
FIND: Final = Statement(
    select(*CUSTOMER).where(
        of_merchant(customer),
        customer.c.customer_id
        == any_(
            array(
                [
                    parameter(customer.c.customer_id),
                    _BY_PHONE.scalar_subquery(),
                    _BY_EXTERNAL_ID.scalar_subquery(),
                ]
            )
        ),
    )
)
"""Finds customers by id, phone or external id."""

_GET: Final = Statement(
    page_of(
        select(*CUSTOMER).where(
            of_merchant(customer), customer.c.customer_id == parameter(customer.c.customer_id)
        )
    )
)

_BEGINNING: Final = (datetime.fromtimestamp(0, UTC), UUID(int=0))
_LIST: Final = Statement(
    page_of(
        select(*CUSTOMER)
        .where(
            of_merchant(customer),
            tuple_(customer.c.created_at, customer.c.customer_id)
            > tuple_(
                parameter(customer.c.created_at, "after_created_at"),
                parameter(customer.c.customer_id, "after_customer_id"),
            ),
        )
        .order_by(customer.c.created_at, customer.c.customer_id)
    )
)


def creation_arguments(created: Sequence[tuple[Customer, bytes | None]]) -> dict[str, Any]:
    """Return the parameters of `CREATIONS` for customers and the digests of their drafts."""
    return {
        **arrays(
            customer,
            _ROW,
            [
                (
                    each.id,
                    each.external_id or None,
                    each.name,
                    each.phone or None,
                    each.note,
                    each.created_at,
                    each.updated_at,
                    digest,
                )
                for each, digest in created
            ],
        ),
        **_phones([each for each, _ in created]),
    }


def update_arguments(before: Customer, after: Customer) -> dict[str, Any]:
    """Return the parameters of `UPDATE`."""
    moved = before.phone != after.phone
    return {
        "customer_id": after.id,
        "external_id": after.external_id or None,
        "name": after.name,
        "phone": after.phone or None,
        "note": after.note,
        "updated_at": after.updated_at,
        "left_phones": [before.phone] if moved else [],
        **_phones([after] if moved else []),
    }


def _phones(owners: Sequence[Customer]) -> dict[str, Any]:
    return arrays(customer_phone, _PHONE, [(each.phone, each.id) for each in owners if each.phone])


class PostgresCustomers:
    """Reads customers; the port is `domain.ports.CustomerReader`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, caller: Caller, customer_id: UUID) -> Customer:
        rows = await self._database.read(caller, _GET, {"customer_id": customer_id, "limit": 1})
        if rows[0]["customer_id"] is None:
            raise NotFoundError(Reason.CUSTOMER_NOT_FOUND, "no such customer")
        return to_customer(rows[0])

    async def list(self, caller: Caller, page: PageRequest) -> Page[Customer]:
        created_at, customer_id = page.after or _BEGINNING
        values = {
            "after_created_at": created_at,
            "after_customer_id": customer_id,
            "limit": page.size + 1,
        }
        rows = await self._database.read(caller, _LIST, values)
        found = [to_customer(row) for row in rows if row["customer_id"] is not None]
        return page.cut(found, lambda last: (last.created_at, last.id))
