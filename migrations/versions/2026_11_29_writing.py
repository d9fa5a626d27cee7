"""writing.

Revision ID: 2026_11_29_writing
Revises: 2026_11_28_senders
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_11_29_writing"
down_revision = "2026_11_28_senders"
branch_labels = None
depends_on = None

STATES = "'queued', 'sending', 'sent', 'deferred', 'failed', 'bounced', 'cancelled'"


def upgrade() -> None:
    op.create_table(
        "draft",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("about_message_id", sa.BigInteger(), nullable=True),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("to", sa.Text(), nullable=False),
        sa.Column("cc", sa.Text(), nullable=False),
        sa.Column("bcc", sa.Text(), nullable=False),
        sa.Column("template_id", sa.Integer(), nullable=True),
        sa.Column("attachment_keys", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("seen_message_id", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("window", sa.String(length=36), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('reply', 'note')", name=op.f("ck_draft_kind")),
        sa.CheckConstraint("mode IN ('reply', 'forward')", name=op.f("ck_draft_mode")),
        sa.ForeignKeyConstraint(["about_message_id"], ["message.id"], name=op.f("fk_draft_about_message_id_message")),
        sa.ForeignKeyConstraint(["template_id"], ["reply_template.id"], name=op.f("fk_draft_template_id_reply_template")),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("fk_draft_ticket_id_ticket")),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("fk_draft_user_id_ab_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draft")),
        sa.UniqueConstraint("user_id", "ticket_id", "kind", name=op.f("uq_draft_user_id_ticket_id_kind")),
    )
    op.create_index("ix_draft_message", "draft", ["about_message_id"])
    op.create_index(op.f("ix_draft_ticket_id"), "draft", ["ticket_id"])
    op.add_column("message", sa.Column("send_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "message", sa.Column("then_status", sa.String(length=16), nullable=False, server_default="")
    )
    op.create_index(
        "ix_message_scheduled",
        "message",
        ["send_at"],
        postgresql_where=sa.text("delivery_state = 'scheduled'"),
    )
    _allow_states("'', 'scheduled', " + STATES)


def downgrade() -> None:
    op.execute("UPDATE message SET delivery_state = 'cancelled' WHERE delivery_state = 'scheduled'")
    _allow_states("'', " + STATES)
    op.drop_index("ix_message_scheduled", table_name="message")
    op.drop_column("message", "then_status")
    op.drop_column("message", "send_at")
    op.drop_table("draft")


def _allow_states(states: str) -> None:
    # NOT VALID first: the rows are looked at without keeping writers waiting.
    op.drop_constraint(op.f("ck_message_delivery_state"), "message")
    op.execute(
        f"ALTER TABLE message ADD CONSTRAINT ck_message_delivery_state CHECK (delivery_state IN ({states})) NOT VALID"
    )
    op.execute("ALTER TABLE message VALIDATE CONSTRAINT ck_message_delivery_state")
