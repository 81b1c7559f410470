"""The ledger: which credit pays which debit.

Entries and allocations are immutable; what is open of a debit and free of a credit follows from
them. A customer with free credit never has an open debit.
"""

import enum
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID


class EntryKind(enum.StrEnum):
    """What an entry records."""

    BILL = enum.auto()
    PAYMENT = enum.auto()


@dataclass(slots=True)
class OpenDebit:
    """A debit and what is open of it."""

    entry_id: UUID
    bill_id: UUID
    entered_on: date
    """The bill's business day."""
    due_on: date | None
    revision: int
    ordinal: int
    """The place of the entry among those of its revision."""
    open_minor: int

    @property
    def age(self) -> tuple[date, int, int]:
        """Sorts debits by the order in which credit pays them: the oldest first."""
        return (self.due_on or self.entered_on, self.revision, self.ordinal)


@dataclass(slots=True)
class FreeCredit:
    """A credit and what is free of it."""

    entry_id: UUID
    entered_on: date
    """The day of the payment in the merchant's time zone."""
    revision: int
    ordinal: int
    free_minor: int

    @property
    def age(self) -> tuple[date, int, int]:
        """Sorts credits by the order in which they are used: the oldest first."""
        return (self.entered_on, self.revision, self.ordinal)


@dataclass(frozen=True, slots=True)
class Allocation:
    """How much of a credit pays how much of a debit."""

    credit: FreeCredit
    debit: OpenDebit
    amount_minor: int


def _age(item: OpenDebit | FreeCredit) -> tuple[date, int, int]:
    return item.age


@dataclass(slots=True)
class Account:
    """The open position of one customer, the oldest items first."""

    debits: list[OpenDebit] = field(default_factory=list)
    credits: list[FreeCredit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.debits.sort(key=_age)
        self.credits.sort(key=_age)

    def enter(self, debit: OpenDebit, payments: Sequence[FreeCredit]) -> list[Allocation]:
        """Enter a bill's debit and the payments that it carries, and allocate what can be.

        The payments pay their own bill first; then the customer's credit does. What is left of the
        payments pays the customer's other open debits, and then is credit. Of several payments,
        credits or debits the oldest is always first.

        Returns:
            The allocations in the order in which they were made.
        """
        own = sorted(payments, key=_age)
        made = _allocate([*own, *self.credits], [debit])
        made += _allocate(own, self.debits)
        self.debits = [item for item in self.debits if item.open_minor]
        self.credits = [item for item in self.credits if item.free_minor]
        if debit.open_minor:
            insort(self.debits, debit, key=_age)
        for credit in payments:
            if credit.free_minor:
                insort(self.credits, credit, key=_age)
        return made


def _allocate(credits_: Iterable[FreeCredit], debits: Sequence[OpenDebit]) -> list[Allocation]:
    made = []
    for credit in credits_:
        for debit in debits:
            if not credit.free_minor:
                break
            if amount := min(credit.free_minor, debit.open_minor):
                credit.free_minor -= amount
                debit.open_minor -= amount
                made.append(Allocation(credit, debit, amount))
    return made
