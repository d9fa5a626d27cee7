"""search.

Revision ID: 2026_12_01_search
Revises: 2026_11_30_people
"""

from alembic import op

revision = "2026_12_01_search"
down_revision = "2026_11_30_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody waits while the indexes are made: each message goes on being written meanwhile.
    with op.get_context().autocommit_block():
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_message_words ON message USING gin "
            "(to_tsvector('simple'::regconfig, left(text, 100000)))"
        )
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_attachment_name_trgm ON attachment USING gin (name gin_trgm_ops)"
        )


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS ix_message_words")
    op.execute("DROP INDEX IF EXISTS ix_attachment_name_trgm")
