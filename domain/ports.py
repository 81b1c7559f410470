"""What the use cases need from the outside."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol, TypeVar
from uuid import UUID

from domain.errors import invalid_field
from domain.model.analytics import Figures, Period, RankedCustomer, Ranking
from domain.model.bill import Bill
from domain.model.caller import Caller
from domain.model.customer import Customer
from domain.model.feature import Decision
from domain.model.feedback import Feedback
from domain.model.ledger import Account, Allocation, EntryKind, FreeCredit, OpenDebit
from domain.model.merchant import Merchant
from domain.model.paging import Page, PageRequest
from domain.model.request import RequestKey, Written
from domain.model.rollups import Deltas

T = TypeVar("T")

Clock = Callable[[], datetime]
"""Returns the present instant, with a time zone."""


class PhoneParser(Protocol):
    """Reads phone numbers as people write them."""

    def __call__(self, text: str, region: str, field: str) -> str:
        """Return a number in E.164.

        Args:
            text: The number, with or without its country code.
            region: The ISO 3166 code of the country of numbers without a country code.
            field: The field of the request that holds it, for the error.

        Raises:
            InvalidRequestError: It cannot be a number there (PHONE_INVALID).
        """


@dataclass(frozen=True, slots=True)
class BillReference:
    """What a bill to be created refers to."""

    bill_id: UUID
    customer_id: UUID | None
    phone: str | None
    """In E.164."""
    external_id: str | None
    business_day: date


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is there of a bill reference."""

    digest: bytes | None
    """The digest of the draft from which a bill of this id was created; None: there is none."""
    customer_id: UUID | None
    """The customer referred to; None: there is none."""
    has_open_items: bool
    """Whether the customer has open debits or free credit."""
    visits: tuple[date, ...]
    """The customer's visits next to the business day, and on it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger entry to be written."""

    id: UUID
    kind: EntryKind
    bill_id: UUID
    customer_id: UUID | None
    amount_minor: int
    entered_on: date
    due_on: date | None
    ordinal: int
    method: str | None
    """How a payment was made; None for other kinds."""
    instant: datetime


@dataclass(slots=True)
class Posting:
    """All that one write of bills adds and changes, to be written at once."""

    customers: list[Customer] = field(default_factory=list)
    """Customers to create."""
    bills: list[tuple[Bill, bytes]] = field(default_factory=list)
    """Bills to create, each with the digest of its draft."""
    entries: list[Entry] = field(default_factory=list)
    allocations: list[Allocation] = field(default_factory=list)
    debits: dict[UUID, tuple[UUID, OpenDebit]] = field(default_factory=dict)
    """Debits that are new or changed, by entry, each with its customer."""
    credits: dict[UUID, tuple[UUID, FreeCredit]] = field(default_factory=dict)
    """Credits that are new or changed, by entry, each with its customer."""
    deltas: Deltas = field(default_factory=Deltas)


class WriteTransaction(Protocol):
    """One write of one merchant. No other write of the merchant runs meanwhile."""

    @property
    def merchant(self) -> Merchant:
        """The merchant, at the revision before this write."""

    @property
    def revision(self) -> int:
        """The number of the revision that this write makes."""

    @property
    def next_bill_number(self) -> int:
        """The number of the next bill."""

    async def find_customers(
        self, customer_id: UUID | None, phone: str, external_id: str
    ) -> list[tuple[Customer, bytes]]:
        """Return the customers that have this id, phone or external id, each with its digest."""

    async def insert_customer(self, customer: Customer, digest: bytes) -> None:
        """Create a customer, which is the answer of this write."""

    async def update_customer(self, before: Customer, after: Customer) -> None:
        """Change a customer, which is the answer of this write."""

    async def resolve(
        self, references: Sequence[BillReference], entry_ids: Sequence[UUID]
    ) -> tuple[list[Resolved], frozenset[UUID]]:
        """Return what is there of each reference, and which ids are those of ledger entries."""

    async def accounts(self, customer_ids: Sequence[UUID]) -> dict[UUID, Account]:
        """Return the open positions of the customers that have any."""

    async def bill(self, bill_id: UUID) -> Bill:
        """Return a bill that is there."""

    async def post(self, posting: Posting, answer: object) -> None:
        """Write bills; `answer` is the answer of this write."""

    async def find_feedback(
        self, feature: str, subject: str, since: datetime
    ) -> tuple[Feedback | None, int]:
        """Return a person's feedback on a feature, and how many people of the merchant's counted.

        Args:
            feature: The feature.
            subject: The person.
            since: Only people who counted later are counted.
        """

    async def put_feedback(self, before: Feedback | None, after: Feedback) -> None:
        """Keep feedback, which is the answer of this write, in place of the one before."""

    async def remember(self, answer: object) -> None:
        """Keep the answer of a write that changes nothing."""


class Writer(Protocol):
    """Runs writes."""

    async def write(
        self,
        caller: Caller,
        key: RequestKey | None,
        answer: type[T],
        work: Callable[[WriteTransaction], Awaitable[T]],
    ) -> Written[T]:
        """Run `work` in one transaction, all or nothing, once for each key.

        After UnavailableError and DeadlineExceededError it may or may not have been written: the
        same key, sent again, tells.

        Args:
            caller: Whose merchant is written to, and for how long they wait.
            key: The request; a repetition gets the stored answer. None: it has none.
            answer: The type of the answer.
            work: Does the write and returns the answer; may be run again from the beginning.

        Raises:
            PermissionDeniedError: The merchant is not known.
            InvalidRequestError: The key belongs to another request (REQUEST_ID_REUSED).
            AbortedError: Another write did not end in time (WRITE_CONTENDED).
            UnavailableError: The store cannot be reached.
            DeadlineExceededError: The caller's deadline passed.
        """


class CustomerReader(Protocol):
    """Reads customers. Every method raises PermissionDeniedError for an unknown merchant."""

    async def get(self, caller: Caller, customer_id: UUID) -> Customer:
        """Return one customer; raises NotFoundError."""

    async def list(self, caller: Caller, page: PageRequest) -> Page[Customer]:
        """Return customers in the order of their creation."""


@dataclass(frozen=True, slots=True)
class BillFilter:
    """Which bills are wanted; None: no bound."""

    customer_id: UUID | None
    from_day: date | None
    to_day: date | None

    def __post_init__(self) -> None:
        if self.from_day and self.to_day and self.to_day < self.from_day:
            raise invalid_field("to_day", "must not be before from_day")


class BillReader(Protocol):
    """Reads bills. Every method raises PermissionDeniedError for an unknown merchant."""

    async def get(self, caller: Caller, bill_id: UUID) -> Bill:
        """Return one bill; raises NotFoundError."""

    async def list(self, caller: Caller, wanted: BillFilter, page: PageRequest) -> Page[Bill]:
        """Return bills, the latest business day and highest number first.

        Raises:
            NotFoundError: The merchant has no customer of the wanted id.
        """


class RollupReader(Protocol):
    """Reads the kept totals. Every method raises PermissionDeniedError for an unknown merchant."""

    async def figures(
        self, caller: Caller, periods: Sequence[Period], *, active: bool
    ) -> tuple[Merchant, list[Figures]]:
        """Return the figures of each period and the merchant, all of one revision.

        Args:
            caller: Whose merchant is read.
            periods: The periods, in the order of the answer.
            active: Whether to count the active customers.
        """

    async def ranking(
        self, caller: Caller, by: Ranking, month: date | None, page: PageRequest
    ) -> tuple[Merchant, Page[RankedCustomer]]:
        """Return customers with a bill in a month, or ever, the top one first, of one revision."""


class Features(Protocol):
    """Knows who has which feature."""

    def decide(self, feature: str, caller: Caller) -> Decision:
        """Return whether a caller has a feature; never fails, and asks nobody.

        It is the same for a merchant until the flags change, on every worker.
        """


class Ratings(Protocol):
    """Counts how features are rated, for who decides about their rollout."""

    def count(self, feature: str, rating: int, *, treatment: bool) -> None:
        """Count a rating, 1 to 5, of somebody who has the feature, or has not (`treatment`)."""
