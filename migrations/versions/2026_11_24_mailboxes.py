"""mailboxes.

Revision ID: 2026_11_24_mailboxes
Revises: 2026_11_23_first_tables
"""

revision = "2026_11_24_mailboxes"
down_revision = "2026_11_23_first_tables"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
