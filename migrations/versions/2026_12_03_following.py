"""following.

Snoozed tickets, their followers, links between tickets, and the criteria of triage.

Revision ID: 2026_12_03_following
Revises: 2026_12_01_search
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_12_03_following"
down_revision = "2026_12_01_search"
branch_labels = None
depends_on = None

OPEN = "status IN ('new', 'open', 'pending', 'on_hold')"
DUE = "(coalesce(next_due_at, 'infinity'::timestamptz))"
# Lists of work: as they were, and now with the moment until which a ticket is snoozed.
WORK = {
    "ix_ticket_open_branch_due": (f"branch_id, {DUE}, id", OPEN),
    "ix_ticket_open_assignee_due": (f"assignee_id, {DUE}, id", OPEN),
    "ix_ticket_unassigned_due": (f"branch_id, {DUE}, id", f"assignee_id IS NULL AND {OPEN}"),
    "ix_ticket_escalated_due": (f"branch_id, tier_level, {DUE}, id", f"tier_level > 1 AND {OPEN}"),
}
NEW = {
    "ix_ticket_snoozed": (
        "ticket ((coalesce(snoozed_until, 'infinity'::timestamptz)), id) WHERE snoozed_until IS NOT NULL"
    ),
    "ix_ticket_followers": "ticket USING gin (follower_ids) WHERE follower_ids <> '{}'::integer[]",
}
# What an installation begins with; its admins write their own.
CRITERIA = {
    ("type", "question"): "The customer wants to know something. Nothing is broken, nothing has to be changed.",
    ("type", "incident"): "Something that worked does not work now, for this customer. First make it work again.",
    ("type", "bug"): "What we deliver does not do what it should, for everybody alike. Somebody has to mend it.",
    ("type", "improvement"): "Something works, and the customer asks that it work better.",
    ("type", "feature_request"): "The customer asks for something that is not there yet.",
    ("severity", "critical"): (
        "Many customers cannot work, or data, money or safety are at stake. There is no way round it."
    ),
    ("severity", "major"): "Something important does not work for this customer, or the way round it costs a lot.",
    ("severity", "minor"): "A nuisance with an easy way round it.",
    ("severity", "none"): "Nothing is impaired, or nobody has judged it yet.",
}


def upgrade() -> None:
    op.add_column("ticket", sa.Column("snoozed_until", sa.DateTime(timezone=True)))
    op.add_column("ticket", sa.Column("snoozed_by_id", sa.Integer()))
    op.create_foreign_key(op.f("fk_ticket_snoozed_by_id"), "ticket", "ab_user", ["snoozed_by_id"], ["id"])
    op.add_column(
        "ticket",
        sa.Column("follower_ids", postgresql.ARRAY(sa.Integer()), nullable=False, server_default="{}"),
    )
    op.create_table(
        "ticket_link",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("from_ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("to_ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('related', 'duplicates', 'causes')", name=op.f("ck_ticket_link_kind")),
        sa.CheckConstraint("from_ticket_id <> to_ticket_id", name=op.f("ck_ticket_link_two_tickets")),
        sa.ForeignKeyConstraint(
            ["from_ticket_id"], ["ticket.id"], name=op.f("fk_ticket_link_from_ticket_id")
        ),
        sa.ForeignKeyConstraint(["to_ticket_id"], ["ticket.id"], name=op.f("fk_ticket_link_to_ticket_id")),
        sa.ForeignKeyConstraint(["created_by_id"], ["ab_user.id"], name=op.f("fk_ticket_link_created_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_link")),
    )
    op.create_index(op.f("ix_ticket_link_from_ticket_id"), "ticket_link", ["from_ticket_id"])
    op.create_index(op.f("ix_ticket_link_to_ticket_id"), "ticket_link", ["to_ticket_id"])
    op.create_index(
        "ix_ticket_link_pair",
        "ticket_link",
        [sa.text("least(from_ticket_id, to_ticket_id)"), sa.text("greatest(from_ticket_id, to_ticket_id)")],
        unique=True,
    )
    criteria = op.create_table(
        "triage_criterion",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=24), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.CheckConstraint("kind IN ('type', 'severity')", name=op.f("ck_triage_criterion_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_triage_criterion")),
        sa.UniqueConstraint("kind", "value", name=op.f("uq_triage_criterion_kind_value")),
    )
    rows = [{"kind": kind, "value": value, "text": text} for (kind, value), text in CRITERIA.items()]
    op.bulk_insert(criteria, rows)
    # Nobody waits while the indexes are made; the old ones serve until the new ones do.
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, definition in NEW.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
        for name, (columns, condition) in WORK.items():
            _replace(name, f"({columns}) INCLUDE (snoozed_until) WHERE {condition}")
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name, (columns, condition) in WORK.items():
            _replace(name, f"({columns}) WHERE {condition}")
    for name in NEW:
        op.drop_index(name, "ticket")
    op.drop_table("triage_criterion")
    op.drop_table("ticket_link")
    op.drop_column("ticket", "follower_ids")
    op.drop_column("ticket", "snoozed_by_id")
    op.drop_column("ticket", "snoozed_until")


def _replace(name: str, definition: str) -> None:
    op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}_new")
    op.execute(f"CREATE INDEX CONCURRENTLY {name}_new ON ticket {definition}")
    op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    op.execute(f"ALTER INDEX {name}_new RENAME TO {name}")
