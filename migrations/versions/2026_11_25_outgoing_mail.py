"""outgoing mail.

Revision ID: 2026_11_25_outgoing_mail
Revises: 2026_11_24_mailboxes
"""

revision = "2026_11_25_outgoing_mail"
down_revision = "2026_11_24_mailboxes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
