"""calendars: what a calendar says is a version with its date, in a time zone of its own.

Revision ID: 2026_12_19_calendars
Revises: 2026_12_17_routing
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_12_19_calendars"
down_revision = "2026_12_17_routing"
branch_labels = None
depends_on = None


def jsonb(name: str) -> sa.Column:
    return sa.Column(name, postgresql.JSONB(), server_default="[]", nullable=False)


def upgrade() -> None:
    op.create_table(
        "calendar_version",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("calendar_id", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        jsonb("windows"),
        jsonb("days"),
        sa.Column("country", sa.String(8), server_default="", nullable=False),
        sa.Column("subdivision", sa.String(16), server_default="", nullable=False),
        jsonb("public_holidays"),
        sa.Column("note", sa.String(500), server_default="", nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("account_id", sa.Integer()),
        sa.ForeignKeyConstraint(
            ["calendar_id"], ["calendar.id"], name=op.f("fk_calendar_version_calendar_id_calendar"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["account_id"], ["ab_user.id"], name=op.f("fk_calendar_version_account_id_ab_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_version")),
    )
    op.create_index(
        op.f("ix_calendar_version_calendar_id_recorded_at"), "calendar_version", ["calendar_id", "recorded_at"]
    )
    op.create_index(op.f("ix_calendar_version_account_id"), "calendar_version", ["account_id"])
    # Until now a ticket was counted by the hours of its branch, in the branch's time zone.
    op.execute(
        """
        UPDATE ticket SET calendar_id = branch.calendar_id FROM branch
        WHERE branch.id = ticket.branch_id AND ticket.calendar_id IS DISTINCT FROM branch.calendar_id
        """
    )
    _split_by_time_zone()
    op.execute(
        """
        INSERT INTO calendar_version (calendar_id, valid_from, time_zone, windows, days, recorded_at)
        SELECT id, '1970-01-01', coalesce((SELECT min(time_zone) FROM branch WHERE calendar_id = calendar.id), time_zone),
            windows, holidays, created_at
        FROM calendar
        """
    )
    for name in ("holidays", "windows", "time_zone"):
        op.drop_column("calendar", name)


def _split_by_time_zone() -> None:
    """One calendar for each time zone of the branches that share it; the branch that came first keeps the old one."""
    op.execute(
        """
        CREATE TEMPORARY TABLE split_calendar ON COMMIT DROP AS
        SELECT nextval(pg_get_serial_sequence('calendar', 'id'))::int AS id, calendar_id AS former_id, time_zone
        FROM (
            SELECT DISTINCT calendar_id, time_zone FROM branch
            WHERE time_zone <> (
                SELECT time_zone FROM branch AS first WHERE first.calendar_id = branch.calendar_id ORDER BY id LIMIT 1
            )
        ) AS other
        """
    )
    op.execute(
        """
        INSERT INTO calendar (id, name, time_zone, windows, holidays, created_at) OVERRIDING SYSTEM VALUE
        SELECT split.id,
            left(former.name, 40) || ' (' || split.time_zone || ')' || CASE WHEN EXISTS (
                SELECT FROM calendar AS same WHERE same.name = left(former.name, 40) || ' (' || split.time_zone || ')'
            ) THEN ' ' || split.id ELSE '' END,
            split.time_zone, former.windows, former.holidays, former.created_at
        FROM split_calendar AS split JOIN calendar AS former ON former.id = split.former_id
        """
    )
    moved = """
        FROM branch JOIN split_calendar AS split
            ON split.former_id = branch.calendar_id AND split.time_zone = branch.time_zone
    """
    op.execute(
        f"UPDATE ticket SET calendar_id = split.id {moved} "
        "WHERE branch.id = ticket.branch_id AND ticket.calendar_id = split.former_id"
    )
    for key in ("calendar_id", "from_calendar_id"):
        op.execute(
            f"""
            UPDATE event SET data = jsonb_set(event.data, '{{{key}}}', to_jsonb(split.id))
            {moved}
            JOIN ticket ON ticket.branch_id = branch.id
            WHERE event.ticket_id = ticket.id AND event.kind = 'policy_applied'
                AND event.data->>'{key}' = split.former_id::text
            """
        )
    op.execute(
        """
        UPDATE branch SET calendar_id = split.id FROM split_calendar AS split
        WHERE split.former_id = branch.calendar_id AND split.time_zone = branch.time_zone
        """
    )


def downgrade() -> None:
    op.add_column("calendar", sa.Column("time_zone", sa.String(64), server_default="UTC", nullable=False))
    op.add_column("calendar", jsonb("windows"))
    op.add_column("calendar", jsonb("holidays"))
    op.execute(
        """
        UPDATE calendar SET time_zone = said.time_zone, windows = said.windows, holidays = said.days
        FROM (
            SELECT DISTINCT ON (calendar_id) * FROM calendar_version
            WHERE valid_from <= current_date ORDER BY calendar_id, valid_from DESC, recorded_at DESC
        ) AS said
        WHERE said.calendar_id = calendar.id
        """
    )
    op.alter_column("calendar", "time_zone", server_default=None)
    op.drop_table("calendar_version")
