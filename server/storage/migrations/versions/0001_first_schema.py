"""The first schema: merchants, customers, bills, the ledger, rollups, and who may see what."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_UPDATABLE = (
    "activity_gap",
    "activity_gap_month",
    "bill",
    "customer",
    "customer_day",
    "customer_month",
    "customer_phone",
    "customer_stats",
    "day_stats",
    "free_credit",
    "idempotency",
    "open_debit",
)
_IMMUTABLE = ("allocation", "audit_log", "bill_line", "ledger_entry")
_MERCHANTS_OWN = (*_UPDATABLE, *_IMMUTABLE, "merchant")
# After a transaction that set it, the setting is an empty text, not null.
_OF_MERCHANT = "merchant_id = nullif(current_setting('patron.merchant', true), '')::uuid"


def upgrade() -> None:
    _create_tables()
    op.execute(
        "INSERT INTO database_epoch (epoch) VALUES (substr(md5(gen_random_uuid()::text), 1, 8))"
    )
    for table in _MERCHANTS_OWN:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_merchant ON {table} TO patron_serving USING ({_OF_MERCHANT})"
        )
        op.execute(f"CREATE POLICY every_merchant ON {table} TO patron_maintenance USING (true)")
    for table in _UPDATABLE:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO patron_serving")
    for table in _IMMUTABLE:
        op.execute(f"GRANT SELECT, INSERT ON {table} TO patron_serving")
    op.execute("GRANT SELECT, UPDATE ON merchant TO patron_serving")
    op.execute("GRANT SELECT ON database_epoch, alembic_version TO patron_serving")
    op.execute(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO patron_maintenance"
    )


def _create_tables() -> None:
    op.create_table(
        "activity_gap",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("previous_day", sa.Date(), nullable=False),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "merchant_id", "day", "previous_day", name=op.f("activity_gap_pkey")
        ),
        comment="Rollup: how many customers came on a day with the visit before it on another",
    )
    op.create_table(
        "activity_gap_month",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("previous_month", sa.Date(), nullable=False),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "merchant_id", "month", "previous_month", name=op.f("activity_gap_month_pkey")
        ),
        comment="Rollup: as activity_gap, of months, each named by its first day",
    )
    op.create_table(
        "audit_log",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("before", postgresql.JSONB(), nullable=True, comment="What changed, as it was"),
        sa.Column(
            "after",
            postgresql.JSONB(),
            nullable=True,
            comment="What changed, as it is; null where the resource never changes",
        ),
        sa.PrimaryKeyConstraint("merchant_id", "revision", "ordinal", name=op.f("audit_log_pkey")),
        comment="Who did what, in the transaction that did it",
    )
    op.create_table(
        "customer_day",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("bills", sa.BigInteger(), nullable=False),
        sa.Column("sales_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "merchant_id", "customer_id", "day", name=op.f("customer_day_pkey")
        ),
        comment="Rollup: a customer's business day, in bills",
    )
    op.create_table(
        "customer_month",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("bills", sa.BigInteger(), nullable=False),
        sa.Column("sales_minor", sa.BigInteger(), nullable=False),
        sa.Column("outstanding_minor", sa.BigInteger(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint(
            "merchant_id", "month", "customer_id", name=op.f("customer_month_pkey")
        ),
        comment="Rollup: a customer's month, in bills",
    )
    op.create_table(
        "customer_stats",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("bills", sa.BigInteger(), nullable=False),
        sa.Column("sales_minor", sa.BigInteger(), nullable=False),
        sa.Column("outstanding_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("visit_days", sa.BigInteger(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "customer_id", name=op.f("customer_stats_pkey")),
        comment="Rollup: the lifetime of a customer, in bills",
    )
    op.create_table(
        "database_epoch",
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", name=op.f("database_epoch_pkey")),
        comment="One row: names this history of the database",
    )
    op.create_table(
        "day_stats",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("bills", sa.BigInteger(), nullable=False),
        sa.Column("sales_minor", sa.BigInteger(), nullable=False),
        sa.Column("walk_in_bills", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("outstanding_minor", sa.BigInteger(), nullable=False),
        sa.Column("active_customers", sa.BigInteger(), nullable=False),
        sa.Column("new_customers", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "day", name=op.f("day_stats_pkey")),
        comment="Rollup: the merchant's business day",
    )
    op.create_table(
        "free_credit",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("entered_on", sa.Date(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("free_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "entry_id", name=op.f("free_credit_pkey")),
        comment="Rollup: the credits that are not used in full",
    )
    op.create_index(
        op.f("free_credit_customer_id_idx"),
        "free_credit",
        ["merchant_id", "customer_id"],
        unique=False,
    )
    op.create_table(
        "idempotency",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="Keyed hash of the request"),
        sa.Column("answer", postgresql.JSONB(), nullable=True),
        sa.Column(
            "revision",
            sa.BigInteger(),
            nullable=True,
            comment="The merchant's revision that the answer tells of",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "request_id", name=op.f("idempotency_pkey")),
    )
    op.create_table(
        "merchant",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("next_bill_number", sa.BigInteger(), nullable=False),
        sa.Column("oldest_feed_revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", name=op.f("merchant_pkey")),
    )
    op.create_table(
        "open_debit",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("entered_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("open_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "entry_id", name=op.f("open_debit_pkey")),
        comment="Rollup: the debits that are not paid in full",
    )
    op.create_index(
        op.f("open_debit_customer_id_idx"),
        "open_debit",
        ["merchant_id", "customer_id"],
        unique=False,
    )
    op.create_table(
        "rebuild_queue",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", name=op.f("rebuild_queue_pkey")),
        comment="The merchants whose rollups an unfinished rebuild still has to replace",
    )
    op.create_table(
        "customer",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "phone",
            sa.Text(),
            nullable=True,
            comment="The phone to show; customer_phone says whose a phone is",
        ),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column(
            "digest",
            sa.LargeBinary(),
            nullable=True,
            comment="Keyed hash of the create request; null: made by a bill",
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["merchant.merchant_id"], name="customer_merchant_id_fkey"
        ),
        sa.PrimaryKeyConstraint("merchant_id", "customer_id", name=op.f("customer_pkey")),
        sa.UniqueConstraint("merchant_id", "external_id", name=op.f("customer_external_id_key")),
    )
    op.create_index(
        op.f("customer_created_at_idx"),
        "customer",
        ["merchant_id", "created_at", "customer_id"],
        unique=False,
    )
    op.create_table(
        "bill",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True, comment="Null: a walk-in's"),
        sa.Column("client_reference", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("subtotal_minor", sa.BigInteger(), nullable=False),
        sa.Column("discount_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("billed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column(
            "digest", sa.LargeBinary(), nullable=False, comment="Keyed hash of the create request"
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id", "customer_id"],
            ["customer.merchant_id", "customer.customer_id"],
            name=op.f("bill_customer_id_fkey"),
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["merchant.merchant_id"], name="bill_merchant_id_fkey"
        ),
        sa.PrimaryKeyConstraint("merchant_id", "bill_id", name=op.f("bill_pkey")),
        sa.UniqueConstraint("merchant_id", "number", name=op.f("bill_number_key")),
    )
    op.create_index(
        op.f("bill_business_day_idx"),
        "bill",
        ["merchant_id", "business_day", "number"],
        unique=False,
    )
    op.create_index(
        op.f("bill_customer_id_idx"),
        "bill",
        ["merchant_id", "customer_id", "business_day", "number"],
        unique=False,
    )
    op.create_table(
        "customer_phone",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id", "customer_id"],
            ["customer.merchant_id", "customer.customer_id"],
            name=op.f("customer_phone_customer_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("merchant_id", "phone", name=op.f("customer_phone_pkey")),
    )
    op.create_index(
        op.f("customer_phone_customer_id_idx"),
        "customer_phone",
        ["merchant_id", "customer_id"],
        unique=False,
    )
    op.create_table(
        "bill_line",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity_milli", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("discount_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id", "bill_id"],
            ["bill.merchant_id", "bill.bill_id"],
            name=op.f("bill_line_bill_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("merchant_id", "bill_id", "position", name=op.f("bill_line_pkey")),
    )
    op.create_table(
        "ledger_entry",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("entered_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payment_method", sa.Text(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id", "bill_id"],
            ["bill.merchant_id", "bill.bill_id"],
            name=op.f("ledger_entry_bill_id_fkey"),
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id", "customer_id"],
            ["customer.merchant_id", "customer.customer_id"],
            name=op.f("ledger_entry_customer_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("merchant_id", "entry_id", name=op.f("ledger_entry_pkey")),
        sa.UniqueConstraint(
            "merchant_id", "revision", "ordinal", name=op.f("ledger_entry_revision_key")
        ),
        comment="Immutable; a bill's debit has the bill's id, a payment's credit the payment's",
    )
    op.create_index(
        op.f("ledger_entry_bill_id_idx"), "ledger_entry", ["merchant_id", "bill_id"], unique=False
    )
    op.create_table(
        "allocation",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("credit_id", sa.Uuid(), nullable=False),
        sa.Column("debit_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id", "credit_id"],
            ["ledger_entry.merchant_id", "ledger_entry.entry_id"],
            name=op.f("allocation_credit_id_fkey"),
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id", "debit_id"],
            ["ledger_entry.merchant_id", "ledger_entry.entry_id"],
            name=op.f("allocation_debit_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("merchant_id", "revision", "ordinal", name=op.f("allocation_pkey")),
        comment="Immutable: how much of a credit pays how much of a debit",
    )
    op.create_index(
        op.f("allocation_credit_id_idx"), "allocation", ["merchant_id", "credit_id"], unique=False
    )
    op.create_index(
        op.f("allocation_debit_id_idx"), "allocation", ["merchant_id", "debit_id"], unique=False
    )
