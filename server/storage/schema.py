"""The tables: the only description of the schema.

Every table of a merchant's data begins its primary key, unique indexes and foreign keys with
`merchant_id`: the tenant boundary, the key of row-level security, and the column by which the
tables can be distributed over machines.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

SERVING_ROLE: Final = "patron_serving"
"""Serves calls; row-level security shows it one merchant at a time."""
MAINTENANCE_ROLE: Final = "patron_maintenance"
"""Provisions merchants, verifies and rebuilds; a policy shows it every merchant."""

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_1_name)s_key",
        "fk": "%(table_name)s_%(column_1_name)s_fkey",
        "ix": "%(table_name)s_%(column_1_name)s_idx",
    }
)


def _id(name: str) -> Column[Any]:
    return Column(name, Uuid, nullable=False)


def _number(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False)


def _day(name: str) -> Column[Any]:
    return Column(name, Date, nullable=False)


def _instant(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False)


def _text(name: str) -> Column[Any]:
    return Column(name, Text, nullable=False)


def _refers(column: str, target: str) -> ForeignKeyConstraint:
    table = target.split(".", maxsplit=1)[0]
    return ForeignKeyConstraint(["merchant_id", column], [f"{table}.merchant_id", target])


database_epoch = Table(
    "database_epoch",
    metadata,
    Column("epoch", Text, primary_key=True),
    comment="One row: names this history of the database",
)

merchant = Table(
    "merchant",
    metadata,
    _id("merchant_id"),
    _text("name"),
    _text("currency"),
    _text("time_zone"),
    _text("region"),
    _number("revision"),
    _number("next_bill_number"),
    _number("oldest_feed_revision"),
    _instant("created_at"),
    PrimaryKeyConstraint("merchant_id"),
)

customer = Table(
    "customer",
    metadata,
    _id("merchant_id"),
    _id("customer_id"),
    Column("external_id", Text),
    _text("name"),
    Column("phone", Text, comment="The phone to show; customer_phone says whose a phone is"),
    _text("note"),
    _instant("created_at"),
    _instant("updated_at"),
    _number("revision"),
    Column("digest", LargeBinary, comment="Keyed hash of the create request; null: made by a bill"),
    PrimaryKeyConstraint("merchant_id", "customer_id"),
    UniqueConstraint("merchant_id", "external_id"),
    ForeignKeyConstraint(
        ["merchant_id"], ["merchant.merchant_id"], name="customer_merchant_id_fkey"
    ),
    Index(None, "merchant_id", "created_at", "customer_id"),
)

customer_phone = Table(
    "customer_phone",
    metadata,
    _id("merchant_id"),
    _text("phone"),
    _id("customer_id"),
    PrimaryKeyConstraint("merchant_id", "phone"),
    _refers("customer_id", "customer.customer_id"),
    Index(None, "merchant_id", "customer_id"),
)

bill = Table(
    "bill",
    metadata,
    _id("merchant_id"),
    _id("bill_id"),
    _number("number"),
    Column("customer_id", Uuid, comment="Null: a walk-in's"),
    _text("client_reference"),
    _text("currency"),
    _number("subtotal_minor"),
    _number("discount_minor"),
    _number("tax_minor"),
    _instant("billed_at"),
    _day("business_day"),
    Column("due_on", Date),
    _text("note"),
    _instant("created_at"),
    _number("revision"),
    Column("digest", LargeBinary, nullable=False, comment="Keyed hash of the create request"),
    PrimaryKeyConstraint("merchant_id", "bill_id"),
    UniqueConstraint("merchant_id", "number"),
    ForeignKeyConstraint(["merchant_id"], ["merchant.merchant_id"], name="bill_merchant_id_fkey"),
    _refers("customer_id", "customer.customer_id"),
    Index(None, "merchant_id", "business_day", "number"),
    Index(None, "merchant_id", "customer_id", "business_day", "number"),
)

bill_line = Table(
    "bill_line",
    metadata,
    _id("merchant_id"),
    _id("bill_id"),
    Column("position", Integer, nullable=False),
    _text("description"),
    _number("quantity_milli"),
    _number("unit_price_minor"),
    _number("discount_minor"),
    _number("tax_minor"),
    PrimaryKeyConstraint("merchant_id", "bill_id", "position"),
    _refers("bill_id", "bill.bill_id"),
)

ledger_entry = Table(
    "ledger_entry",
    metadata,
    _id("merchant_id"),
    _id("entry_id"),
    _text("kind"),
    Column("bill_id", Uuid),
    Column("customer_id", Uuid),
    _number("amount_minor"),
    _day("entered_on"),
    Column("due_on", Date),
    _instant("happened_at"),
    Column("payment_method", Text),
    _number("revision"),
    Column("ordinal", Integer, nullable=False),
    PrimaryKeyConstraint("merchant_id", "entry_id"),
    UniqueConstraint("merchant_id", "revision", "ordinal"),
    _refers("bill_id", "bill.bill_id"),
    _refers("customer_id", "customer.customer_id"),
    Index(None, "merchant_id", "bill_id"),
    comment="Immutable; a bill's debit has the bill's id, a payment's credit the payment's",
)

allocation = Table(
    "allocation",
    metadata,
    _id("merchant_id"),
    _number("revision"),
    Column("ordinal", Integer, nullable=False),
    _id("credit_id"),
    _id("debit_id"),
    _number("amount_minor"),
    PrimaryKeyConstraint("merchant_id", "revision", "ordinal"),
    _refers("credit_id", "ledger_entry.entry_id"),
    _refers("debit_id", "ledger_entry.entry_id"),
    Index(None, "merchant_id", "credit_id"),
    Index(None, "merchant_id", "debit_id"),
    comment="Immutable: how much of a credit pays how much of a debit",
)

open_debit = Table(
    "open_debit",
    metadata,
    _id("merchant_id"),
    _id("entry_id"),
    _id("customer_id"),
    _id("bill_id"),
    _day("entered_on"),
    Column("due_on", Date),
    _number("revision"),
    Column("ordinal", Integer, nullable=False),
    _number("open_minor"),
    PrimaryKeyConstraint("merchant_id", "entry_id"),
    Index(None, "merchant_id", "customer_id"),
    comment="Rollup: the debits that are not paid in full",
)

free_credit = Table(
    "free_credit",
    metadata,
    _id("merchant_id"),
    _id("entry_id"),
    _id("customer_id"),
    _day("entered_on"),
    _number("revision"),
    Column("ordinal", Integer, nullable=False),
    _number("free_minor"),
    PrimaryKeyConstraint("merchant_id", "entry_id"),
    Index(None, "merchant_id", "customer_id"),
    comment="Rollup: the credits that are not used in full",
)

customer_stats = Table(
    "customer_stats",
    metadata,
    _id("merchant_id"),
    _id("customer_id"),
    _number("bills"),
    _number("sales_minor"),
    _number("outstanding_minor"),
    _number("credit_minor"),
    _number("visit_days"),
    _day("first_day"),
    _day("last_day"),
    _number("revision"),
    PrimaryKeyConstraint("merchant_id", "customer_id"),
    comment="Rollup: the lifetime of a customer, in bills",
)

customer_month = Table(
    "customer_month",
    metadata,
    _id("merchant_id"),
    _day("month"),
    _id("customer_id"),
    _number("bills"),
    _number("sales_minor"),
    _number("outstanding_minor"),
    _day("last_day"),
    PrimaryKeyConstraint("merchant_id", "month", "customer_id"),
    comment="Rollup: a customer's month, in bills",
)

customer_day = Table(
    "customer_day",
    metadata,
    _id("merchant_id"),
    _id("customer_id"),
    _day("day"),
    _number("bills"),
    _number("sales_minor"),
    PrimaryKeyConstraint("merchant_id", "customer_id", "day"),
    comment="Rollup: a customer's business day, in bills",
)

day_stats = Table(
    "day_stats",
    metadata,
    _id("merchant_id"),
    _day("day"),
    _number("bills"),
    _number("sales_minor"),
    _number("walk_in_bills"),
    _number("paid_minor"),
    _number("outstanding_minor"),
    _number("active_customers"),
    _number("new_customers"),
    PrimaryKeyConstraint("merchant_id", "day"),
    comment="Rollup: the merchant's business day",
)

activity_gap = Table(
    "activity_gap",
    metadata,
    _id("merchant_id"),
    _day("day"),
    _day("previous_day"),
    _number("customers"),
    PrimaryKeyConstraint("merchant_id", "day", "previous_day"),
    comment="Rollup: how many customers came on a day with the visit before it on another",
)

activity_gap_month = Table(
    "activity_gap_month",
    metadata,
    _id("merchant_id"),
    _day("month"),
    _day("previous_month"),
    _number("customers"),
    PrimaryKeyConstraint("merchant_id", "month", "previous_month"),
    comment="Rollup: as activity_gap, of months, each named by its first day",
)

feedback = Table(
    "feedback",
    metadata,
    _id("merchant_id"),
    _text("feature"),
    _text("subject"),
    _id("feedback_id"),
    Column("rating", Integer, nullable=False),
    _text("comment"),
    _text("app_version"),
    _text("platform"),
    _instant("sent_at"),
    Column(
        "counted_at",
        DateTime(timezone=True),
        comment="When the person last counted in the mean; null: never",
    ),
    _number("revision"),
    PrimaryKeyConstraint("merchant_id", "feature", "subject"),
    ForeignKeyConstraint(
        ["merchant_id"], ["merchant.merchant_id"], name="feedback_merchant_id_fkey"
    ),
    comment="Each person's newest opinion of a feature",
)

idempotency = Table(
    "idempotency",
    metadata,
    _id("merchant_id"),
    _id("request_id"),
    _text("method"),
    Column("digest", LargeBinary, nullable=False, comment="Keyed hash of the request"),
    Column("answer", JSONB),
    Column("revision", BigInteger, comment="The merchant's revision that the answer tells of"),
    _instant("created_at"),
    PrimaryKeyConstraint("merchant_id", "request_id"),
)

audit_log = Table(
    "audit_log",
    metadata,
    _id("merchant_id"),
    _number("revision"),
    Column("ordinal", Integer, nullable=False),
    _instant("happened_at"),
    _text("actor"),
    _text("action"),
    _id("resource_id"),
    Column("before", JSONB, comment="What changed, as it was"),
    Column("after", JSONB, comment="What changed, as it is; null where the resource never changes"),
    PrimaryKeyConstraint("merchant_id", "revision", "ordinal"),
    comment="Who did what, in the transaction that did it",
)

rebuild_queue = Table(
    "rebuild_queue",
    metadata,
    _id("merchant_id"),
    PrimaryKeyConstraint("merchant_id"),
    comment="The merchants whose rollups an unfinished rebuild still has to replace",
)

rollout = Table(
    "rollout",
    metadata,
    Column("flag", Text, primary_key=True),
    Column("document", JSONB, nullable=False),
    _number("version"),
    comment="Where the guarded rollout of each flag stands",
)

rollout_lease = Table(
    "rollout_lease",
    metadata,
    Column("flag", Text, primary_key=True),
    _text("holder"),
    _instant("held_until"),
    comment="Which controller moves a flag now",
)

rollout_audit = Table(
    "rollout_audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _text("flag"),
    _instant("happened_at"),
    _text("actor"),
    _text("action"),
    Column("percent", Integer, nullable=False),
    _text("reason"),
    Column(
        "document",
        JSONB,
        comment="Where the rollout stood from then on; null where that was recorded later",
    ),
    UniqueConstraint("flag", "happened_at", "actor", "action"),
    comment="Immutable: who did what to a rollout",
)
