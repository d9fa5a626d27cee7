"""mailboxes.

Revision ID: 2026_11_24_mailboxes
Revises: 2026_11_23_first_tables
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_24_mailboxes"
down_revision = "2026_11_23_first_tables"
branch_labels = None
depends_on = None


TABLE = "channel_account"
TOKENS = ("oauth_client_secret_encrypted", "oauth_refresh_token_encrypted", "oauth_access_token_encrypted")
MOMENTS = (
    "oauth_access_expires_at",
    "oauth_refresh_expires_at",
    "oauth_signed_in_at",
    "login_failed_at",
    "rung_at",
    "compared_at",
)
CHECK = "ck_channel_account_auth_kind"


def upgrade() -> None:
    words = (("auth_kind", 16, "password"), ("oauth_tenant", 120, ""), ("oauth_client_id", 255, ""))
    for name, length, default in words:
        op.add_column(
            TABLE, sa.Column(name, sa.String(length=length), server_default=default, nullable=False)
        )
    for name in TOKENS:
        op.add_column(TABLE, sa.Column(name, sa.LargeBinary(), nullable=True))
    for name in MOMENTS:
        op.add_column(TABLE, sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column(TABLE, sa.Column("secret_expires_on", sa.Date(), nullable=True))
    op.add_column(TABLE, sa.Column("login_failure_count", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint(
        op.f(CHECK), TABLE, "auth_kind IN ('password', 'oauth2_google', 'oauth2_microsoft')"
    )


def downgrade() -> None:
    op.drop_constraint(op.f(CHECK), TABLE, type_="check")
    for name in ("login_failure_count", "secret_expires_on", *MOMENTS, *TOKENS):
        op.drop_column(TABLE, name)
    for name in ("oauth_client_id", "oauth_tenant", "auth_kind"):
        op.drop_column(TABLE, name)
