"""fields.

Fields that a desk defines for its own tickets, and their values on the tickets.

Revision ID: 2026_12_04_fields
Revises: 2026_12_03_following
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_12_04_fields"
down_revision = "2026_12_03_following"
branch_labels = None
depends_on = None

KINDS = "'text', 'number', 'date', 'yes_no', 'choice', 'choices'"


def upgrade() -> None:
    op.add_column(
        "ticket",
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default="{}"),
    )
    op.create_table(
        "ticket_field",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("help_text", sa.String(length=200), nullable=False),
        sa.Column("choices", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("is_required", sa.Boolean(), nullable=False),
        sa.Column("is_in_filter", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_ticket_field_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_field")),
        sa.UniqueConstraint("key", name=op.f("uq_ticket_field_key")),
    )
    op.create_table(
        "ticket_field_branch",
        sa.Column("field_id", sa.Integer(), nullable=False),
        sa.Column("branch_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["field_id"], ["ticket_field.id"], name=op.f("fk_ticket_field_branch_field_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["branch_id"], ["branch.id"], name=op.f("fk_ticket_field_branch_branch_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("field_id", "branch_id", name=op.f("pk_ticket_field_branch")),
    )
    op.create_index(op.f("ix_ticket_field_branch_branch_id"), "ticket_field_branch", ["branch_id"])
    # Nobody waits while the index is made.
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_ticket_fields")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_ticket_fields ON ticket USING gin (fields jsonb_path_ops)"
            " WHERE fields <> '{}'::jsonb"
        )
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    op.drop_index("ix_ticket_fields", "ticket")
    op.drop_table("ticket_field_branch")
    op.drop_table("ticket_field")
    op.drop_column("ticket", "fields")
