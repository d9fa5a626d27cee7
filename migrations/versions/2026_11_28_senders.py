"""senders.

Revision ID: 2026_11_28_senders
Revises: 2026_11_27_moving
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_28_senders"
down_revision = "2026_11_27_moving"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "identity", sa.Column("shows_pictures", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    op.drop_column("identity", "shows_pictures")
