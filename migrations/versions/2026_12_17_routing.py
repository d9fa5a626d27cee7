"""routing: rules that say who gets a ticket, and whose turn it is.

Revision ID: 2026_12_17_routing
Revises: 2026_12_15_alerts
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_17_routing"
down_revision = "2026_12_15_alerts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("routing_rule", sa.Column("assignee_id", sa.Integer(), nullable=True))
    op.add_column("routing_rule", sa.Column("strategy", sa.String(length=16), nullable=True))
    op.create_foreign_key(
        op.f("fk_routing_rule_assignee_id"), "routing_rule", "ab_user", ["assignee_id"], ["id"]
    )
    op.create_index(op.f("ix_routing_rule_assignee_id"), "routing_rule", ["assignee_id"])
    op.create_check_constraint(
        op.f("ck_routing_rule_strategy"),
        "routing_rule",
        "strategy IN ('manual', 'round_robin', 'least_loaded', 'sticky')",
    )
    op.create_check_constraint(
        op.f("ck_routing_rule_one_way_to_assign"), "routing_rule", "assignee_id IS NULL OR strategy IS NULL"
    )
    op.add_column(
        "branch_membership", sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False)
    )


def downgrade() -> None:
    op.drop_column("branch_membership", "turn")
    op.drop_constraint(op.f("ck_routing_rule_one_way_to_assign"), "routing_rule")
    op.drop_constraint(op.f("ck_routing_rule_strategy"), "routing_rule")
    op.drop_index(op.f("ix_routing_rule_assignee_id"), "routing_rule")
    op.drop_constraint(op.f("fk_routing_rule_assignee_id"), "routing_rule")
    op.drop_column("routing_rule", "strategy")
    op.drop_column("routing_rule", "assignee_id")
