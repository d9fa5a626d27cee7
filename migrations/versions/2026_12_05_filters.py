"""filters: every order of the lists of work stands in an index.

Revision ID: 2026_12_05_filters
Revises: 2026_12_06_speed
"""

from alembic import op

revision = "2026_12_05_filters"
down_revision = "2026_12_06_speed"
branch_labels = None
depends_on = None

OPEN = "status IN ('new', 'open', 'pending', 'on_hold')"
DUE = "(coalesce(next_due_at, 'infinity'::timestamptz))"
URGENCY = "(array_position('{urgent,high,normal,low}'::text[], priority::text))"
ORDERS = {"urgency": f"{URGENCY}, {DUE}, id", "created": "created_at, id", "activity": "last_activity_at, id"}


def upgrade() -> None:
    # Nobody waits while the indexes are made.
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for order, columns in ORDERS.items():
            _make(f"ix_ticket_open_{order}", f"({columns})")
            _make(f"ix_ticket_open_branch_{order}", f"(branch_id, {columns}) INCLUDE (snoozed_until)")
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    for order in ORDERS:
        op.drop_index(f"ix_ticket_open_{order}", "ticket")
        op.drop_index(f"ix_ticket_open_branch_{order}", "ticket")


def _make(name: str, columns: str) -> None:
    op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    op.execute(f"CREATE INDEX CONCURRENTLY {name} ON ticket {columns} WHERE {OPEN}")
