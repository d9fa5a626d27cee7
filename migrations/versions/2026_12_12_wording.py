"""wording: what the bell tells is kept so that everybody reads it in their own language.

Revision ID: 2026_12_12_wording
Revises: 2026_12_11_unacknowledged
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_12_12_wording"
down_revision = "2026_12_11_unacknowledged"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What was told before stays in English: it has no wording.
    op.add_column("notification", sa.Column("wording", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("notification", "wording")
