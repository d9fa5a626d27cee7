"""unacknowledged: whose turns on call have been, and how often nobody acknowledged in time.

Revision ID: 2026_12_11_unacknowledged
Revises: 2026_12_05_filters
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_12_11_unacknowledged"
down_revision = "2026_12_05_filters"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "escalation",
        sa.Column("told_ids", postgresql.ARRAY(sa.Integer()), server_default="{}", nullable=False),
    )
    op.add_column("escalation", sa.Column("step_count", sa.Integer(), server_default="0", nullable=False))
    op.add_column("escalation", sa.Column("stepped_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for name in ("stepped_at", "step_count", "told_ids"):
        op.drop_column("escalation", name)
