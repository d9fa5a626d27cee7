"""lifecycle: the desk's words for statuses, the moves of agents, resolution codes, and when tickets close.

Revision ID: 2026_12_20_lifecycle
Revises: 2026_12_20_counted
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_12_20_lifecycle"
down_revision = "2026_12_20_counted"
branch_labels = None
depends_on = None

_ANY = ["open", "pending", "on_hold", "resolved", "closed", "spam", "trash"]
MOVES = {
    "new": _ANY,
    **{name: [each for each in _ANY if each != name] for name in ("open", "pending", "on_hold", "resolved")},
    "closed": ["open", "spam", "trash"],
    "spam": ["open", "trash"],
    "trash": ["open", "spam"],
}
CODES = (
    "Solved",
    "Workaround given",
    "Duplicate",
    "No answer from the customer",
    "Not a fault",
)
NAMES = ", ".join(f"'{name}'" for name in MOVES)


def upgrade() -> None:
    statuses = op.create_table(
        "lifecycle_status",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("label", sa.String(length=40), server_default="", nullable=False),
        sa.Column("may_become", postgresql.ARRAY(sa.String(length=16)), nullable=False),
        sa.CheckConstraint(f"name IN ({NAMES})", name=op.f("ck_lifecycle_status_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lifecycle_status")),
        sa.UniqueConstraint("name", name=op.f("uq_lifecycle_status_name")),
    )
    op.bulk_insert(statuses, [{"name": name, "may_become": ways} for name, ways in MOVES.items()])
    setting = op.create_table(
        "lifecycle_setting",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("requires_code", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("close_after_days", sa.Integer(), server_default="14", nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_lifecycle_setting_one_row")),
        sa.CheckConstraint(
            "close_after_days BETWEEN 0 AND 3650", name=op.f("ck_lifecycle_setting_close_after_days")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lifecycle_setting")),
    )
    op.bulk_insert(setting, [{"id": 1}])
    codes = op.create_table(
        "resolution_code",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("label", sa.String(length=60), nullable=False),
        sa.Column("position", sa.Integer(), server_default="100", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resolution_code")),
        sa.UniqueConstraint("label", name=op.f("uq_resolution_code_label")),
    )
    op.bulk_insert(codes, [{"label": label, "position": 10 * place} for place, label in enumerate(CODES, 1)])
    op.add_column("branch", sa.Column("close_after_days", sa.Integer(), nullable=True))
    op.add_column("branch", sa.Column("requires_code", sa.Boolean(), nullable=True))
    for table, column in (("ticket", "resolution_code_id"), ("message", "then_resolution_code_id")):
        op.add_column(table, sa.Column(column, sa.Integer(), nullable=True))
        op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, "resolution_code", [column], ["id"])
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_ticket_resolution")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_ticket_resolution ON ticket (resolution_code_id, last_activity_at, id)"
            " WHERE resolution_code_id IS NOT NULL"
        )
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    op.drop_index("ix_ticket_resolution", "ticket")
    for table, column in (("ticket", "resolution_code_id"), ("message", "then_resolution_code_id")):
        op.drop_constraint(op.f(f"fk_{table}_{column}"), table)
        op.drop_column(table, column)
    op.drop_column("branch", "requires_code")
    op.drop_column("branch", "close_after_days")
    op.drop_table("resolution_code")
    op.drop_table("lifecycle_setting")
    op.drop_table("lifecycle_status")
