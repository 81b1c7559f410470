"""Guarded rollouts: where each stands, who controls it, and who did what."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "rollout",
        sa.Column("flag", sa.Text(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("flag", name=op.f("rollout_pkey")),
        comment="Where the guarded rollout of each flag stands",
    )
    op.create_table(
        "rollout_lease",
        sa.Column("flag", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("flag", name=op.f("rollout_lease_pkey")),
        comment="Which controller moves a flag now",
    )
    op.create_table(
        "rollout_audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("flag", sa.Text(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "document",
            postgresql.JSONB(),
            nullable=True,
            comment="Where the rollout stood from then on; null where that was recorded later",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("rollout_audit_pkey")),
        sa.UniqueConstraint(
            "flag", "happened_at", "actor", "action", name=op.f("rollout_audit_happened_at_key")
        ),
        comment="Immutable: who did what to a rollout",
    )
    op.execute("GRANT SELECT ON rollout, rollout_audit TO patron_serving")
    op.execute(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON rollout, rollout_lease TO patron_maintenance"
    )
    op.execute("GRANT SELECT, INSERT ON rollout_audit TO patron_maintenance")
