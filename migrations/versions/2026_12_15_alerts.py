"""alerts: chat services and mail that hear of escalations, and the quiet hours of people.

Revision ID: 2026_12_15_alerts
Revises: 2026_12_14_escalation_rules
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_15_alerts"
down_revision = "2026_12_14_escalation_rules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "escalation_tier",
        sa.Column("mails_members", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("agent", sa.Column("quiet_from", sa.Time(), nullable=True))
    op.add_column("agent", sa.Column("quiet_until", sa.Time(), nullable=True))
    op.create_table(
        "notify_target",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("tier_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("url_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("shown", sa.String(length=200), nullable=False),
        sa.Column("may_reach_internal", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure_count", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=400), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tier_id"], ["escalation_tier.id"], name=op.f("fk_notify_target_tier_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notify_target")),
        sa.UniqueConstraint("tier_id", "name", name=op.f("uq_notify_target_tier_id_name")),
    )
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("target_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("fact_key", sa.String(length=80), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.String(length=400), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'deferred', 'sent', 'failed')", name=op.f("ck_alert_state")
        ),
        sa.CheckConstraint("(target_id IS NULL) <> (user_id IS NULL)", name=op.f("ck_alert_one_receiver")),
        sa.ForeignKeyConstraint(
            ["target_id"], ["notify_target.id"], name=op.f("fk_alert_target_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("fk_alert_user_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("fk_alert_ticket_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sa.UniqueConstraint("target_id", "fact_key", name=op.f("uq_alert_target_id_fact_key")),
        sa.UniqueConstraint("user_id", "fact_key", name=op.f("uq_alert_user_id_fact_key")),
    )
    op.create_index(op.f("ix_alert_ticket_id"), "alert", ["ticket_id"])
    op.create_index(
        "ix_alert_owed",
        "alert",
        ["next_attempt_at"],
        postgresql_where=sa.text("state IN ('queued', 'sending', 'deferred')"),
    )


def downgrade() -> None:
    op.drop_table("alert")
    op.drop_table("notify_target")
    op.drop_column("agent", "quiet_until")
    op.drop_column("agent", "quiet_from")
    op.drop_column("escalation_tier", "mails_members")
