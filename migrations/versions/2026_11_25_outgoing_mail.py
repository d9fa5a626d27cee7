"""outgoing mail.

Revision ID: 2026_11_25_outgoing_mail
Revises: 2026_11_24_mailboxes
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_25_outgoing_mail"
down_revision = "2026_11_24_mailboxes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("branch", sa.Column("quotes_history", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column(
        "branch", sa.Column("attachment_limit_mb", sa.Integer(), nullable=False, server_default=sa.text("20"))
    )
    op.add_column("branch", sa.Column("signs_with_dkim", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("branch", sa.Column("dkim_selector", sa.String(length=63), nullable=False, server_default=""))
    op.add_column("branch", sa.Column("dkim_record", sa.String(), nullable=False, server_default=""))
    op.add_column("branch", sa.Column("dkim_key_encrypted", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    for name in (
        "dkim_key_encrypted",
        "dkim_record",
        "dkim_selector",
        "signs_with_dkim",
        "attachment_limit_mb",
        "quotes_history",
    ):
        op.drop_column("branch", name)
