"""moving.

Revision ID: 2026_11_27_moving
Revises: 2026_11_26_automatic_mail
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_11_27_moving"
down_revision = "2026_11_26_automatic_mail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With a constant default the rows stay as they are, however many there are.
    op.add_column(
        "message",
        sa.Column(
            "moved_from_ticket_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False, server_default="{}"
        ),
    )


def downgrade() -> None:
    op.drop_column("message", "moved_from_ticket_ids")
