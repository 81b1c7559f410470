"""Purchases as bills, and their import."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp

from patron.bill.v1.bill_pb2 import PAYMENT_METHOD_CASH, BillDraft, BillLine, Payment
from patron.bill.v1.bill_service_pb2 import ImportBillsRequest
from patron.bill.v1.bill_service_pb2_grpc import BillServiceStub
from server.cli.demo.purchases import CURRENCY, Purchase

_BATCH: Final = 500
# A stream takes much more than is written yet: only the end of a call tells what is.
_PURCHASES_OF_A_CALL: Final = 4 * _BATCH
_SECONDS: Final = 600
_ONE: Final = 1000
_NOON: Final = time(12)

# Ids derive from the place in the data: imported again, a purchase is the bill that is there.
_IDS: Final = UUID("cd000000-0000-4000-8000-000000000000")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    created: int
    existing: int


async def import_purchases(
    bills: BillServiceStub,
    purchases: Sequence[Purchase],
    *,
    metadata: list[tuple[str, str]],
    time_zone: str,
    imported: Callable[[int], None],
) -> Imported:
    """Import the purchases as paid bills, those that are there already left alone.

    Args:
        bills: The service.
        purchases: What to import, in the order of acceptance.
        metadata: The authorization.
        time_zone: The merchant's: at its noon the purchases of a day were made.
        imported: Is told how many purchases are bills by now.

    Raises:
        grpc.RpcError: A batch was refused; those before it are kept.
    """
    created = existing = 0
    for start in range(0, len(purchases), _PURCHASES_OF_A_CALL):
        part = purchases[start : start + _PURCHASES_OF_A_CALL]
        answer = await bills.ImportBills(
            _batches(part, time_zone), metadata=metadata, timeout=_SECONDS
        )
        created += answer.created_bills
        existing += answer.existing_bills
        imported(start + len(part))
    return Imported(created, existing)


def _batches(purchases: Sequence[Purchase], time_zone: str) -> Iterator[ImportBillsRequest]:
    """Make each batch when the one before is on its way."""
    for start in range(0, len(purchases), _BATCH):
        batch = purchases[start : start + _BATCH]
        yield ImportBillsRequest(bills=[_bill(purchase, time_zone) for purchase in batch])


def _bill(purchase: Purchase, time_zone: str) -> BillDraft:
    amount = purchase.amount_minor
    bill_id = uuid.uuid5(_IDS, str(purchase.line))
    return BillDraft(
        id=str(bill_id),
        external_id=purchase.customer,
        currency=CURRENCY,
        # What one CD cost is not known, and may be no whole number of cents.
        lines=[
            BillLine(
                description="1 CD" if purchase.cds == 1 else f"{purchase.cds} CDs",
                quantity_milli=_ONE,
                unit_price_minor=amount,
            )
        ],
        expected_total_minor=amount,
        payments=[
            Payment(
                id=str(uuid.uuid5(bill_id, "payment")),
                amount_minor=amount,
                method=PAYMENT_METHOD_CASH,
            )
        ]
        if amount
        else [],
        bill_time=_noon(purchase.day, time_zone),
    )


@cache
def _noon(day: date, time_zone: str) -> Timestamp:
    instant = datetime.combine(day, _NOON, tzinfo=ZoneInfo(time_zone))
    return Timestamp(seconds=int(instant.timestamp()))
