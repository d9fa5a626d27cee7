"""automatic mail.

Revision ID: 2026_11_26_automatic_mail
Revises: 2026_11_25_outgoing_mail
"""

revision = "2026_11_26_automatic_mail"
down_revision = "2026_11_25_outgoing_mail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
