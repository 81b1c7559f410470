"""What people think of features."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_OF_MERCHANT = "merchant_id = nullif(current_setting('patron.merchant', true), '')::uuid"


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("feedback_id", sa.Uuid(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("app_version", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "counted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the person last counted in the mean; null: never",
        ),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["merchant.merchant_id"], name="feedback_merchant_id_fkey"
        ),
        sa.PrimaryKeyConstraint("merchant_id", "feature", "subject", name=op.f("feedback_pkey")),
        comment="Each person's newest opinion of a feature",
    )
    op.execute("ALTER TABLE feedback ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE feedback FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_merchant ON feedback TO patron_serving USING ({_OF_MERCHANT})")
    op.execute("CREATE POLICY every_merchant ON feedback TO patron_maintenance USING (true)")
    op.execute(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON feedback TO patron_serving, patron_maintenance"
    )
