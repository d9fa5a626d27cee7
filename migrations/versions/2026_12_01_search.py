"""search.

Revision ID: 2026_12_01_search
Revises: 2026_11_30_people
"""

from alembic import op

revision = "2026_12_01_search"
down_revision = "2026_11_30_people"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_message_words": "message USING gin (to_tsvector('simple'::regconfig, left(text, 100000)))",
    "ix_attachment_name_trgm": "attachment USING gin (name gin_trgm_ops)",
}


def upgrade() -> None:
    # Nobody waits while the indexes are made: each message goes on being written meanwhile. The making itself waits
    # for whoever is at work now, however long that takes.
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, definition in INDEXES.items():
            # One that an interrupted try has left behind is never used.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX IF EXISTS {name}")
