"""field words: a search finds what stands in the desk's own fields.

Revision ID: 2026_12_13_field_words
Revises: 2026_12_09_versions
"""

from alembic import op

revision = "2026_12_13_field_words"
down_revision = "2026_12_09_versions"
branch_labels = None
depends_on = None

INDEX = "ix_ticket_field_word_slices"
WORDS = """jsonb_to_tsvector('simple'::regconfig, fields, '["string", "numeric"]'::jsonb)"""


def upgrade() -> None:
    # Only tickets that have values are in it: intake writes none, and goes on while it is made.
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        # One that an interrupted try has left behind is never used.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        op.execute(
            f"CREATE INDEX CONCURRENTLY {INDEX} ON ticket USING gin ({WORDS}, (id >> 14), (id >> 18)) "
            "WITH (gin_pending_list_limit = 128) WHERE fields <> '{}'::jsonb"
        )
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
