"""automatic mail.

Revision ID: 2026_11_26_automatic_mail
Revises: 2026_11_25_outgoing_mail
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_26_automatic_mail"
down_revision = "2026_11_25_outgoing_mail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "branch", sa.Column("sends_acknowledgement", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("branch", sa.Column("acknowledgement_html", sa.String(), nullable=False, server_default=""))
    op.add_column(
        "branch", sa.Column("automatic_per_recipient", sa.Integer(), nullable=False, server_default=sa.text("5"))
    )
    op.add_column(
        "branch", sa.Column("automatic_per_ticket", sa.Integer(), nullable=False, server_default=sa.text("3"))
    )
    op.add_column("delivery", sa.Column("is_automatic", sa.Boolean(), nullable=False, server_default=sa.false()))
    # No row is automatic yet: the index is made in no time.
    op.create_index(
        "ix_delivery_automatic",
        "delivery",
        ["recipient", "created_at"],
        postgresql_where=sa.text("is_automatic"),
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_automatic", table_name="delivery")
    op.drop_column("delivery", "is_automatic")
    for name in (
        "automatic_per_ticket",
        "automatic_per_recipient",
        "acknowledgement_html",
        "sends_acknowledgement",
    ):
        op.drop_column("branch", name)
