"""escalation rules: what sends a ticket to a higher tier by itself, besides its clocks.

Revision ID: 2026_12_14_escalation_rules
Revises: 2026_12_13_field_words
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_14_escalation_rules"
down_revision = "2026_12_13_field_words"
branch_labels = None
depends_on = None

KINDS = "'priority', 'type', 'reopened', 'customer_waits', 'keyword'"
FORMER = "'manual', 'sla_warning', 'sla_breach', 'unacknowledged'"


def upgrade() -> None:
    op.create_table(
        "escalation_rule",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("branch_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=1000), nullable=False),
        sa.Column("to_level", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_escalation_rule_kind")),
        sa.ForeignKeyConstraint(["branch_id"], ["branch.id"], name=op.f("fk_escalation_rule_branch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalation_rule")),
        sa.UniqueConstraint("name", name=op.f("uq_escalation_rule_name")),
    )
    op.create_index(op.f("ix_escalation_rule_branch_id"), "escalation_rule", ["branch_id"])
    op.add_column("escalation", sa.Column("rule_id", sa.Integer(), nullable=True))
    op.create_foreign_key(
        op.f("fk_escalation_rule_id"), "escalation", "escalation_rule", ["rule_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index(op.f("ix_escalation_rule_id"), "escalation", ["rule_id"])
    _allow(f"{FORMER}, {KINDS}")


def downgrade() -> None:
    op.execute(f"UPDATE escalation SET trigger = 'manual' WHERE trigger NOT IN ({FORMER})")
    _allow(FORMER)
    op.drop_column("escalation", "rule_id")
    op.drop_table("escalation_rule")


def _allow(triggers: str) -> None:
    op.execute("ALTER TABLE escalation DROP CONSTRAINT ck_escalation_trigger")
    op.execute(f"ALTER TABLE escalation ADD CONSTRAINT ck_escalation_trigger CHECK (trigger IN ({triggers}))")
