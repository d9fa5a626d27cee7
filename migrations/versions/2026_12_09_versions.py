"""versions: a policy keeps its former targets, and a ticket says by which of them it is measured.

Revision ID: 2026_12_09_versions
Revises: 2026_12_12_wording
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_12_09_versions"
down_revision = "2026_12_12_wording"
branch_labels = None
depends_on = None

TARGETS = (
    "first_response_minutes, next_response_minutes, resolution_minutes, is_business_time, "
    "first_response_paused_in, next_response_paused_in, resolution_paused_in, warning_percents"
)
FIRED = "e.kind IN ('sla_warned', 'sla_breached') AND NOT e.data ? 'started_at'"


def jsonb(name: str, default: str = "[]") -> sa.Column:
    return sa.Column(name, postgresql.JSONB(), server_default=default, nullable=False)


def upgrade() -> None:
    for name in ("types", "channel_kinds", "customer_levels", "first_response_paused_in", "next_response_paused_in"):
        op.add_column("sla_policy", jsonb(name))
    op.add_column("sla_policy", jsonb("resolution_paused_in", '["pending"]'))
    op.add_column("sla_policy", jsonb("warning_percents", "[75]"))
    op.execute(
        """
        UPDATE sla_policy SET
            resolution_paused_in = CASE paused_statuses WHEN '[]' THEN '["pending"]' ELSE paused_statuses END,
            warning_percents =
                CASE WHEN warning_percent BETWEEN 1 AND 99 THEN jsonb_build_array(warning_percent) ELSE '[]' END
        """
    )
    op.drop_column("sla_policy", "paused_statuses")
    op.create_table(
        "policy_version",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("first_response_minutes", sa.Integer()),
        sa.Column("next_response_minutes", sa.Integer()),
        sa.Column("resolution_minutes", sa.Integer()),
        sa.Column("is_business_time", sa.Boolean(), nullable=False),
        jsonb("first_response_paused_in"),
        jsonb("next_response_paused_in"),
        jsonb("resolution_paused_in", '["pending"]'),
        jsonb("warning_percents", "[75]"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["sla_policy.id"], name=op.f("fk_policy_version_policy_id_sla_policy"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_version")),
        sa.UniqueConstraint("policy_id", "number", name=op.f("uq_policy_version_policy_id_number")),
    )
    op.execute(
        f"INSERT INTO policy_version (policy_id, number, name, {TARGETS}) SELECT id, 1, name, {TARGETS} FROM sla_policy"
    )
    op.add_column("sla_policy", sa.Column("version_id", sa.Integer()))
    op.execute("UPDATE sla_policy SET version_id = (SELECT id FROM policy_version WHERE policy_id = sla_policy.id)")
    op.create_foreign_key(
        op.f("fk_sla_policy_version_id_policy_version"), "sla_policy", "policy_version", ["version_id"], ["id"]
    )
    op.create_index(op.f("ix_sla_policy_version_id"), "sla_policy", ["version_id"])
    op.add_column("ticket", sa.Column("policy_version_id", sa.Integer()))
    op.add_column("ticket", sa.Column("calendar_id", sa.Integer()))
    op.execute(
        """
        UPDATE ticket SET
            policy_version_id = (SELECT id FROM policy_version WHERE policy_id = ticket.policy_id),
            calendar_id = (SELECT calendar_id FROM branch WHERE id = ticket.branch_id)
        """
    )
    op.create_foreign_key(
        op.f("fk_ticket_policy_version_id_policy_version"), "ticket", "policy_version", ["policy_version_id"], ["id"]
    )
    op.create_foreign_key(op.f("fk_ticket_calendar_id_calendar"), "ticket", "calendar", ["calendar_id"], ["id"])

    op.add_column("clock", jsonb("warnings"))
    op.drop_index("ix_clock_warn", table_name="clock")
    op.execute("UPDATE clock SET warn_at = NULL WHERE warned_at IS NOT NULL OR state <> 'running'")
    op.execute(
        """
        UPDATE clock SET warnings = jsonb_build_array(jsonb_build_array(
            (SELECT warning_percent FROM sla_policy WHERE id = clock.policy_id), to_jsonb(warn_at)))
        WHERE warn_at IS NOT NULL
        """
    )
    op.create_index(
        "ix_clock_warn",
        "clock",
        ["warn_at"],
        postgresql_where=sa.text("warn_at IS NOT NULL AND state = 'running'"),
    )
    # What was fired is known from the ledger alone: of which wait, and at what percentage.
    op.execute(
        f"""
        UPDATE event e SET data = e.data || jsonb_build_object(
            'started_at', to_jsonb(c.started_at),
            'percent', CASE e.kind WHEN 'sla_breached' THEN 100
                ELSE coalesce((SELECT warning_percent FROM sla_policy WHERE id = c.policy_id), 75) END)
        FROM clock c
        WHERE {FIRED} AND c.ticket_id = e.ticket_id AND c.kind = e.data->>'clock'
            AND c.cycle = (e.data->>'cycle')::int
        """
    )
    op.drop_column("clock", "warned_at")
    op.drop_column("sla_policy", "warning_percent")


def downgrade() -> None:
    op.add_column("sla_policy", sa.Column("warning_percent", sa.Integer(), server_default="75", nullable=False))
    op.add_column("clock", sa.Column("warned_at", sa.DateTime(timezone=True)))
    op.drop_index("ix_clock_warn", table_name="clock")
    op.create_index(
        "ix_clock_warn",
        "clock",
        ["warn_at"],
        postgresql_where=sa.text("warned_at IS NULL AND state = 'running'"),
    )
    op.drop_column("clock", "warnings")
    for name in ("calendar_id", "policy_version_id"):
        op.drop_column("ticket", name)
    op.drop_column("sla_policy", "version_id")
    op.drop_table("policy_version")
    op.add_column("sla_policy", jsonb("paused_statuses"))
    op.execute(
        "UPDATE sla_policy SET paused_statuses = resolution_paused_in, "
        "warning_percent = coalesce((warning_percents->>0)::int, 0)"
    )
    for name in ("warning_percents", "resolution_paused_in", "next_response_paused_in", "first_response_paused_in"):
        op.drop_column("sla_policy", name)
    for name in ("customer_levels", "channel_kinds", "types"):
        op.drop_column("sla_policy", name)
