"""people.

Revision ID: 2026_11_30_people
Revises: 2026_11_29_writing
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_11_30_people"
down_revision = "2026_11_29_writing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "agent",
        sa.Column("muted_kinds", postgresql.ARRAY(sa.String(length=40)), nullable=False, server_default="{}"),
    )
    op.add_column("agent", sa.Column("density", sa.String(length=12), nullable=False, server_default="comfortable"))
    op.create_check_constraint(op.f("ck_agent_density"), "agent", "density IN ('comfortable', 'compact')")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_agent_density"), "agent")
    op.drop_column("agent", "density")
    op.drop_column("agent", "muted_kinds")
