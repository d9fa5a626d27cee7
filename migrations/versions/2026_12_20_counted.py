"""counted: a version of a calendar says how far the tickets of its calendar have been counted by it.

Revision ID: 2026_12_20_counted
Revises: 2026_12_19_calendars
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_20_counted"
down_revision = "2026_12_19_calendars"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calendar_version", sa.Column("counted_at", sa.DateTime(timezone=True)))
    op.add_column("calendar_version", sa.Column("counted_to", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE calendar_version SET counted_at = now()")


def downgrade() -> None:
    op.drop_column("calendar_version", "counted_to")
    op.drop_column("calendar_version", "counted_at")
