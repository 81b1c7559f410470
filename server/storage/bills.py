"""Bills in PostgreSQL."""

from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, exists, tuple_

from domain.errors import NotFoundError, Reason
from domain.model.bill import Bill
from domain.model.caller import Caller
from domain.model.paging import Page, PageRequest
from domain.ports import BillFilter
from server.storage.database import Database
from server.storage.records import select_bills, to_bill
from server.storage.schema import bill, customer
from server.storage.statements import Statement, of_merchant, page_of, parameter

_BY_ID: Final = select_bills().where(of_merchant(bill), bill.c.bill_id == parameter(bill.c.bill_id))
FIND: Final = Statement(_BY_ID)
"""Finds a bill by id."""
_GET: Final = Statement(page_of(_BY_ID))

_END: Final = (date.max, 2**63 - 1)
_CUSTOMER_ID: Final = parameter(bill.c.customer_id)
_OF_CUSTOMER: Final = bill.c.customer_id == _CUSTOMER_ID


def _list(*wanted: ColumnElement[bool]) -> Statement:
    page = (
        select_bills()
        .where(
            of_merchant(bill),
            *wanted,
            bill.c.business_day >= parameter(bill.c.business_day, "from_day"),
            bill.c.business_day <= parameter(bill.c.business_day, "to_day"),
            tuple_(bill.c.business_day, bill.c.number)
            < tuple_(
                parameter(bill.c.business_day, "before_day"),
                parameter(bill.c.number, "before_number"),
            ),
        )
        .order_by(bill.c.business_day.desc(), bill.c.number.desc())
    )
    is_there = exists().where(of_merchant(customer), customer.c.customer_id == _CUSTOMER_ID)
    return Statement(page_of(page, is_there.label("customer_is_there")))


_LIST: Final = _list()
_LIST_OF_CUSTOMER: Final = _list(_OF_CUSTOMER)


class PostgresBills:
    """Reads bills; the port is `domain.ports.BillReader`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, caller: Caller, bill_id: UUID) -> Bill:
        rows = await self._database.read(caller, _GET, {"bill_id": bill_id, "limit": 1})
        if rows[0]["bill_id"] is None:
            raise NotFoundError(Reason.BILL_NOT_FOUND, "no such bill")
        return to_bill(rows[0])

    async def list(self, caller: Caller, wanted: BillFilter, page: PageRequest) -> Page[Bill]:
        before_day, before_number = page.after or _END
        values: dict[str, Any] = {
            "customer_id": wanted.customer_id,
            "from_day": wanted.from_day or date.min,
            "to_day": wanted.to_day or date.max,
            "before_day": before_day,
            "before_number": before_number,
            "limit": page.size + 1,
        }
        statement = _LIST if wanted.customer_id is None else _LIST_OF_CUSTOMER
        rows = await self._database.read(caller, statement, values)
        if wanted.customer_id is not None and not rows[0]["customer_is_there"]:
            raise NotFoundError(Reason.CUSTOMER_NOT_FOUND, "no such customer")
        found = [to_bill(row) for row in rows if row["bill_id"] is not None]
        return page.cut(found, lambda last: (last.business_day, last.number))
