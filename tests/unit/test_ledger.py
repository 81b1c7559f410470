"""Which credit pays which debit, whatever is entered."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.ledger import Account, Allocation, FreeCredit, OpenDebit

DAY = date(2024, 3, 10)
_AMOUNTS = st.integers(0, 5)
_DAYS = st.integers(0, 4).map(lambda days: DAY + timedelta(days=days))


@dataclass(frozen=True)
class Entered:
    """A bill as it is entered: its amount, its days, and its payments with theirs."""

    amount: int
    day: date
    due: date | None
    payments: list[tuple[int, date]]


_BILLS = st.lists(
    st.builds(
        Entered,
        _AMOUNTS,
        _DAYS,
        st.none() | _DAYS,
        st.lists(st.tuples(st.integers(1, 9), _DAYS), max_size=3),
    ),
    max_size=9,
)


class Entering:
    """An account, and everything that was ever entered into it."""

    def __init__(self) -> None:
        self.account = Account()
        self.debits: dict[UUID, tuple[OpenDebit, int]] = {}
        self.credits: dict[UUID, tuple[FreeCredit, int]] = {}

    def enter(self, bill: Entered) -> tuple[OpenDebit, list[FreeCredit], list[Allocation]]:
        revision = len(self.debits) + 1
        bill_id = UUID(int=revision)
        debit = OpenDebit(bill_id, bill_id, bill.day, bill.due, revision, 0, bill.amount)
        payments = [
            FreeCredit(UUID(int=1000 * revision + at), day, revision, at, amount)
            for at, (amount, day) in enumerate(bill.payments, start=1)
        ]
        self.debits[bill_id] = debit, bill.amount
        for credit in payments:
            self.credits[credit.entry_id] = credit, credit.free_minor
        return debit, payments, self.account.enter(debit, payments)


@settings(deadline=None)
@given(_BILLS)
def test_money_is_neither_made_nor_lost(bills: list[Entered]) -> None:
    """What is allocated of each entry, and what is left of it, sum up to its amount."""
    entering = Entering()
    paid: Counter[UUID] = Counter()
    used: Counter[UUID] = Counter()
    for bill in bills:
        for made in entering.enter(bill)[2]:
            assert made.amount_minor > 0
            paid[made.debit.entry_id] += made.amount_minor
            used[made.credit.entry_id] += made.amount_minor
    for id_, (debit, amount) in entering.debits.items():
        assert debit.open_minor == amount - paid[id_] >= 0
    for id_, (credit, amount) in entering.credits.items():
        assert credit.free_minor == amount - used[id_] >= 0


@settings(deadline=None)
@given(_BILLS)
def test_nobody_owes_who_has_credit(bills: list[Entered]) -> None:
    """An account never has open debits and free credit at once, and lists exactly those."""
    entering = Entering()
    for bill in bills:
        entering.enter(bill)
        account = entering.account
        assert not (account.debits and account.credits)
        assert {debit.entry_id for debit in account.debits} == {
            id_ for id_, (debit, _) in entering.debits.items() if debit.open_minor
        }
        assert {credit.entry_id for credit in account.credits} == {
            id_ for id_, (credit, _) in entering.credits.items() if credit.free_minor
        }


@settings(deadline=None)
@given(_BILLS)
def test_the_balance_is_what_was_billed_less_what_was_paid(bills: list[Entered]) -> None:
    """Outstanding less credit is the sum of the bills less the sum of the payments."""
    entering = Entering()
    for bill in bills:
        entering.enter(bill)
    outstanding = sum(debit.open_minor for debit in entering.account.debits)
    credit = sum(credit.free_minor for credit in entering.account.credits)
    billed = sum(bill.amount for bill in bills)
    received = sum(amount for bill in bills for amount, _ in bill.payments)
    assert outstanding - credit == billed - received


@settings(deadline=None)
@given(_BILLS)
def test_payments_pay_their_bill_first_and_then_the_oldest(bills: list[Entered]) -> None:
    """Another bill is paid only from what is over, and none while an older one is open."""
    entering = Entering()
    for bill in bills:
        was_open = list(entering.account.debits)
        debit, payments, made = entering.enter(bill)
        ages = [debit.age for debit in was_open]
        assert ages == sorted(ages)
        others = [each for each in made if each.debit is not debit]
        if others:
            assert debit.open_minor == 0
            assert all(each.credit in payments for each in others)
        paid = [each.open_minor == 0 for each in was_open]
        assert paid == sorted(paid, reverse=True)


@settings(deadline=None)
@given(_BILLS)
def test_the_oldest_credit_is_used_first(bills: list[Entered]) -> None:
    """A bill takes earlier credit only after its own payments, the oldest before any other."""
    entering = Entering()
    for bill in bills:
        was_free = list(entering.account.credits)
        _, payments, made = entering.enter(bill)
        ages = [credit.age for credit in was_free]
        assert ages == sorted(ages)
        if any(each.credit in was_free for each in made):
            assert all(credit.free_minor == 0 for credit in payments)
        used = [credit.free_minor == 0 for credit in was_free]
        assert used == sorted(used, reverse=True)


def test_of_several_payments_the_oldest_is_used_first() -> None:
    """What is over of a bill's payments is left of the latest, in whatever order they were sent."""
    entering = Entering()
    later = DAY + timedelta(days=3)
    entering.enter(Entered(10, DAY, None, [(8, later), (8, DAY)]))
    assert [(each.entered_on, each.free_minor) for each in entering.account.credits] == [(later, 6)]


def test_the_due_day_decides_what_is_oldest() -> None:
    """A bill is as old as its due day, or its own without one; then the order of entry decides."""
    late, soon = DAY + timedelta(days=9), DAY + timedelta(days=1)
    debits = [
        OpenDebit(UUID(int=1), UUID(int=1), DAY, late, 1, 0, 10),
        OpenDebit(UUID(int=2), UUID(int=2), soon, None, 3, 0, 10),
        OpenDebit(UUID(int=3), UUID(int=3), DAY, soon, 2, 1, 10),
        OpenDebit(UUID(int=4), UUID(int=4), soon, None, 2, 0, 10),
    ]
    account = Account(debits)
    assert [debit.entry_id.int for debit in account.debits] == [4, 3, 2, 1]


def test_a_back_dated_bill_moves_no_earlier_allocation() -> None:
    """What a payment paid stays paid when an older bill comes later."""
    entering = Entering()
    first, _, _ = entering.enter(Entered(5, DAY, None, [(5, DAY)]))
    older, _, made = entering.enter(Entered(5, DAY - timedelta(days=30), None, []))
    assert (first.open_minor, older.open_minor, made) == (0, 5, [])
