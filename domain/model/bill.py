"""Bills: drafts, totals, and what follows from the ledger."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from domain.errors import (
    FieldViolation,
    InvalidRequestError,
    Reason,
    invalid_field,
)
from domain.model.merchant import Merchant

MAX_TOTAL_MINOR: Final = 10_000_000_000_000
"""The highest total of a bill and of its payments, so that sums over bills stay within 64 bits."""
MAX_AHEAD: Final = timedelta(days=1)
"""How far a client's clock may be ahead."""


class BillStatus(enum.Enum):
    """How far a bill is paid; it follows from the ledger."""

    OPEN = enum.auto()
    PARTIALLY_PAID = enum.auto()
    PAID = enum.auto()


class PaymentMethod(enum.StrEnum):
    """How a payment was made."""

    CASH = enum.auto()
    CARD = enum.auto()
    BANK_TRANSFER = enum.auto()
    MOBILE_MONEY = enum.auto()
    OTHER = enum.auto()


@dataclass(frozen=True, slots=True)
class Line:
    """One position of a bill; amounts in minor units."""

    description: str
    quantity_milli: int
    """How much, in thousandths."""
    unit_price_minor: int
    discount_minor: int
    tax_minor: int

    @property
    def gross_minor(self) -> int:
        """Quantity × unit price, rounded half up."""
        return (self.quantity_milli * self.unit_price_minor + 500) // 1000


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of a bill's lines, in minor units."""

    subtotal_minor: int
    discount_minor: int
    tax_minor: int

    @property
    def total_minor(self) -> int:
        """What is to be paid."""
        return self.subtotal_minor - self.discount_minor + self.tax_minor


@dataclass(frozen=True, slots=True)
class PaymentDraft:
    """A payment as a client sends it with a bill."""

    id: UUID | None
    amount_minor: int
    method: PaymentMethod
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that a bill carried."""

    id: UUID
    amount_minor: int
    method: PaymentMethod
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class BillDraft:
    """What a client says of a bill that it creates.

    At most one of `customer_id`, `phone` and `external_id` is set; none is for a walk-in.
    """

    id: UUID | None
    customer_id: UUID | None
    phone: str | None
    external_id: str | None
    customer_name: str
    client_reference: str
    currency: str
    lines: tuple[Line, ...]
    expected_total_minor: int | None
    payments: tuple[PaymentDraft, ...]
    billed_at: datetime | None
    due_on: date | None
    note: str
    digest: bytes
    """A keyed hash of the draft as it was sent."""

    @property
    def is_walk_in(self) -> bool:
        """Whether the bill is nobody's."""
        return self.customer_id is None and self.phone is None and self.external_id is None


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill of a merchant."""

    id: UUID
    number: int
    customer_id: UUID | None
    client_reference: str
    currency: str
    lines: tuple[Line, ...]
    totals: Totals
    open_minor: int
    """What is still to be paid, by the ledger."""
    payments: tuple[Payment, ...]
    billed_at: datetime
    business_day: date
    due_on: date | None
    note: str
    created_at: datetime
    revision: int
    """The number of the merchant's revision that changed the bill last."""

    @property
    def status(self) -> BillStatus:
        """How far the bill is paid."""
        if self.open_minor == 0:
            return BillStatus.PAID
        if self.open_minor == self.totals.total_minor:
            return BillStatus.OPEN
        return BillStatus.PARTIALLY_PAID

    @property
    def etag(self) -> str:
        """Changes whenever the bill does."""
        return f"{self.revision:x}"


def totals(lines: Iterable[Line], place: str) -> Totals:
    """Return the sums of the lines of the draft at `place` in the request.

    Raises:
        InvalidRequestError: A discount is over its line's amount, or the total is over
            `MAX_TOTAL_MINOR`.
    """
    subtotal = discount = tax = 0
    for index, line in enumerate(lines):
        if line.discount_minor > line.gross_minor:
            raise invalid_field(
                f"{place}.lines[{index}].discount_minor", "must not be over quantity x unit price"
            )
        subtotal += line.gross_minor
        discount += line.discount_minor
        tax += line.tax_minor
    result = Totals(subtotal, discount, tax)
    if max(subtotal, result.total_minor) > MAX_TOTAL_MINOR:
        raise invalid_field(f"{place}.lines", f"must not sum up to more than {MAX_TOTAL_MINOR}")
    return result


def check(
    draft: BillDraft, total_minor: int, merchant: Merchant, now: datetime, place: str
) -> None:
    """Check what the draft at `place` says against the merchant, its own total and the clock.

    Raises:
        InvalidRequestError: The currency is not the merchant's, the expected total is another, a
            walk-in's bill isn't paid exactly, or an amount or a date cannot be.
    """
    if draft.currency != merchant.currency:
        raise InvalidRequestError(
            Reason.CURRENCY_MISMATCH,
            "the currency is not the merchant's",
            metadata={"currency": merchant.currency},
            violations=[FieldViolation(f"{place}.currency", f"must be {merchant.currency}")],
        )
    if draft.expected_total_minor not in (None, total_minor):
        raise InvalidRequestError(
            Reason.TOTAL_MISMATCH,
            "the expected total is not the sum of the lines",
            metadata={"total_minor": str(total_minor)},
            violations=[
                FieldViolation(
                    f"{place}.expected_total_minor", f"the lines sum up to {total_minor}"
                )
            ],
        )
    paid = sum(payment.amount_minor for payment in draft.payments)
    if paid > MAX_TOTAL_MINOR:
        raise invalid_field(f"{place}.payments", f"must not sum up to more than {MAX_TOTAL_MINOR}")
    if draft.is_walk_in and paid != total_minor:
        raise InvalidRequestError(
            Reason.WALK_IN_NOT_SETTLED,
            "a walk-in's bill must be paid exactly",
            metadata={"total_minor": str(total_minor), "paid_minor": str(paid)},
            violations=[FieldViolation(f"{place}.payments", f"must sum up to {total_minor}")],
        )
    _check_times(draft, merchant, now, place)


def _check_times(draft: BillDraft, merchant: Merchant, now: datetime, place: str) -> None:
    latest = now + MAX_AHEAD
    if draft.billed_at is not None and draft.billed_at > latest:
        raise invalid_field(f"{place}.bill_time", "must not be more than a day ahead")
    for index, payment in enumerate(draft.payments):
        if payment.paid_at is not None and payment.paid_at > latest:
            raise invalid_field(
                f"{place}.payments[{index}].pay_time", "must not be more than a day ahead"
            )
    if draft.due_on is not None and draft.due_on < merchant.business_day(draft.billed_at or now):
        raise invalid_field(f"{place}.due_day", "must not be before the bill's business day")
