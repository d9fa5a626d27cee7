"""speed: a search looks through the newest first, slice by slice; what was closed lately has indexes of its own.

Revision ID: 2026_12_06_speed
Revises: 2026_12_04_fields
"""

from alembic import op

revision = "2026_12_06_speed"
down_revision = "2026_12_04_fields"
branch_labels = None
depends_on = None

SLICES = "(id >> 14), (id >> 18)"
WORDS = "to_tsvector('simple'::regconfig, left(text, 100000))"
INDEXES = {
    "ix_message_word_slices": (f"message USING gin ({WORDS}, {SLICES})", "ix_message_words"),
    "ix_ticket_subject_slices": (f"ticket USING gin (subject gin_trgm_ops, {SLICES})", "ix_ticket_subject_trgm"),
}
FINISHED = {
    "ix_ticket_finished_branch_activity": (
        "ticket (branch_id, last_activity_at, id) WHERE status IN ('resolved', 'closed')"
    ),
    "ix_ticket_finished_activity": "ticket (last_activity_at, id) WHERE status IN ('resolved', 'closed')",
}
OLD = {
    "ix_message_words": f"message USING gin ({WORDS})",
    "ix_ticket_subject_trgm": "ticket USING gin (subject gin_trgm_ops)",
}


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gin")
    # Nobody waits while the indexes are made, and searches have the old ones until the new ones stand. The making
    # itself waits for whoever is at work now, however long that takes.
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, (definition, old) in INDEXES.items():
            # One that an interrupted try has left behind is never used.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition} WITH (gin_pending_list_limit = 128)")
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {old}")
        for name, definition in FINISHED.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
        # What words are common is known from the statistics of the index.
        op.execute("ANALYZE message")
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in (*INDEXES, *FINISHED):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        for name, definition in OLD.items():
            op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {definition}")
