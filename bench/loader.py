"""Loads the made-up year by COPY: secondary indexes away, rows in, indexes back, statistics taken."""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from alembic.script import ScriptDirectory
from flask_migrate import upgrade
from psycopg import sql
from werkzeug.security import generate_password_hash

from bench import world
from bench.installation import Installation
from bench.world import Rows, World

# Parents before children. Everything that one ticket brings is copied together.
TICKET_TABLES = (
    "ticket", "ticket_tag", "inbox_item", "message", "clock", "escalation", "event",
)  # fmt: skip

MIGRATIONS = str(Path(__file__).resolve().parents[1] / "migrations")
WORN_BELOW = 100_000


def ensure_loaded(installation: Installation) -> None:
    """Load unless this very world is there already: the same code, the same number of tickets.

    A small one that has been written to is loaded anew; in a large one, what a measurement adds is one in a thousand.
    One that was loaded before the newest migrations is migrated, as a desk in use would be.
    """
    wanted = {"ticket_count": installation.ticket_count, "code": _digest()}
    known = _marker(installation)
    is_worn = installation.is_used and installation.ticket_count < WORN_BELOW
    if not is_worn and all(known.get(name) == value for name, value in wanted.items()):
        _migrate(installation)
        return
    began = time.perf_counter()
    print(f"Loading {installation.ticket_count:,} tickets …", flush=True)
    _fresh_schema(installation)
    anchor = int(datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
    _load(installation, World(installation.ticket_count, anchor))
    installation.mark_fresh()
    _marker_path(installation).write_text(json.dumps(wanted | {"anchor": anchor}))
    print(f"Loaded in {time.perf_counter() - began:.0f} s.", flush=True)


def world_of(installation: Installation) -> World:
    """The world that the installation was loaded with."""
    return World(installation.ticket_count, _marker(installation)["anchor"])


def password_of(installation: Installation) -> str:
    """The one password of all its people; made when it was loaded."""
    return (installation.var_dir / "password").read_text()


def _marker_path(installation: Installation) -> Path:
    return installation.var_dir / "loaded.json"


def _marker(installation: Installation) -> dict[str, Any]:
    path = _marker_path(installation)
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _digest() -> str:
    """What the loaded rows depend on: how they are made."""
    return hashlib.sha256(Path(world.__file__).read_bytes()).hexdigest()[:16]


def _migrate(installation: Installation) -> None:
    """Run the migrations that are newer than what was loaded, and settle what they changed."""
    with psycopg.connect(installation.dsn, autocommit=True) as session:
        head = ScriptDirectory(MIGRATIONS).get_current_head()
        found = session.execute("SELECT version_num FROM alembic_version").fetchone()
        if found == (head,):
            return
        print(f"Migrating to {head} …", flush=True)
        with installation.app(with_admin=False).app_context():
            upgrade(directory=MIGRATIONS)
        session.execute("VACUUM ANALYZE")


def _fresh_schema(installation: Installation) -> None:
    _marker_path(installation).unlink(missing_ok=True)
    with psycopg.connect(installation.dsn, autocommit=True) as session:
        session.execute("DROP SCHEMA public CASCADE")
        session.execute("CREATE SCHEMA public")
    app = installation.app()
    with app.app_context():
        from portal.services.events import ensure_partitions
        from portal.views.admin.roles import sync_roles

        upgrade(directory=MIGRATIONS)
        ensure_partitions(datetime.now(UTC) - timedelta(days=400))
        sync_roles()


def _load(installation: Installation, made: World) -> None:
    with psycopg.connect(installation.dsn) as session:
        # Foreign keys are true by construction; checking 20 million of them one by one would double the time.
        session.execute("SET session_replication_role = replica")
        session.execute("SET synchronous_commit = off")
        session.execute("SET maintenance_work_mem = '512MB'")
        session.execute("SET max_parallel_maintenance_workers = 2")
        _load_people(session, installation, made)
        indexes = without_indexes(session, ("customer", "identity", *TICKET_TABLES))
        for rows in world.customers(made):
            _copy(session, rows, ("customer", "identity"))
        session.commit()
        for rows in world.tickets(made):
            _copy(session, rows, TICKET_TABLES)
            session.commit()
        made_again(session, indexes)
        _advance_sequences(session)
    with psycopg.connect(installation.dsn, autocommit=True) as session:
        # Page figures of a database that has settled: statistics taken, visibility known, nothing left to write back.
        session.execute("VACUUM ANALYZE")
        session.execute("CHECKPOINT")


def _copy(session: psycopg.Connection, rows: Rows, tables: Iterable[str]) -> None:
    for table in tables:
        columns = world.COLUMNS[table].split()
        with session.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            copy.write("\n".join(rows.lines[table]) + "\n" if rows.lines[table] else "")


def without_indexes(session: psycopg.Connection, tables: Iterable[str]) -> list[str]:
    """Drop every index that is no constraint's, and return the statements that make them again."""
    found = session.execute(
        """
        SELECT index.relname, pg_get_indexdef(index.oid)
        FROM pg_index
        JOIN pg_class AS index ON index.oid = pg_index.indexrelid
        JOIN pg_class AS owner ON owner.oid = pg_index.indrelid
        WHERE owner.relname = ANY(%s) AND owner.relnamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = index.oid)
        """,
        [list(tables)],
    ).fetchall()
    for name, _ in found:
        session.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    # Said of a partitioned table, ONLY would leave the partitions without.
    return [definition.replace(" ON ONLY ", " ON ") for _, definition in found]


def made_again(session: psycopg.Connection, indexes: Iterable[str]) -> None:
    """Make the indexes that `without_indexes` took away, each in a transaction of its own."""
    for definition in indexes:
        session.execute(definition)
        session.commit()


def _load_people(session: psycopg.Connection, installation: Installation, made: World) -> None:
    """Branches, their people and all that is configured: a few hundred rows."""
    password = secrets.token_urlsafe(12)
    path = installation.var_dir / "password"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(password)
    hashed = generate_password_hash(password)
    created = world.stamp(made.anchor - world.YEAR_SECONDS)
    windows = json.dumps([{"weekday": day, "start": "00:00", "end": "24:00"} for day in range(7)])
    session.execute("INSERT INTO calendar (name) VALUES ('Always')")
    session.execute(
        "INSERT INTO calendar_version (calendar_id, valid_from, time_zone, windows, counted_at) "
        "SELECT id, '1970-01-01', 'UTC', %s, now() FROM calendar",
        [windows],
    )
    session.execute(
        """
        INSERT INTO sla_policy (name, position, first_response_minutes, next_response_minutes, resolution_minutes,
            is_business_time, is_active)
        VALUES ('Standard', 100, 240, 480, 4320, true, true)
        """
    )
    session.execute(
        """
        WITH version AS (
            INSERT INTO policy_version (policy_id, number, name, first_response_minutes, next_response_minutes,
                resolution_minutes, is_business_time)
            SELECT id, 1, name, first_response_minutes, next_response_minutes, resolution_minutes, is_business_time
            FROM sla_policy RETURNING id, policy_id
        )
        UPDATE sla_policy SET version_id = version.id FROM version WHERE version.policy_id = sla_policy.id
        """
    )
    roles = dict(session.execute("SELECT name, id FROM ab_role").fetchall())
    _add_person(session, 1, "bench-admin", hashed, roles["Admin"])
    for branch_id in range(1, world.BRANCH_COUNT + 1):
        _add_branch(session, branch_id)
        for position, user_id in enumerate(world.agent_ids(branch_id)):
            role = "Lead" if position == 0 else "Agent"
            _add_person(session, user_id, f"{role.lower()}{branch_id}-{position}", hashed, roles[role])
            session.execute(
                """
                INSERT INTO branch_membership (user_id, branch_id, tier_level, is_lead) VALUES (%s, %s, %s, %s)
                """,
                [user_id, branch_id, 2 if position in (0, 8, 9) else 1, position == 0],
            )
    for number in range(1, world.TAG_COUNT + 1):
        session.execute("INSERT INTO tag (name) VALUES (%s)", [f"tag {number}"])
    for number in range(1, world.TEMPLATE_COUNT + 1):
        body = f"Dear {{{{ customer.first_name }}}}, {world.template_text(number)}"
        session.execute(
            """
            INSERT INTO reply_template (name, shortcut, category, language, state, subject, body_html, body_text,
                sent_count, created_at, updated_at)
            VALUES (%s, '', 'General', 'en', 'published', '', %s, %s, 0, %s, %s)
            """,
            [f"Template {number}", f"<p>{body}</p>", body, created, created],
        )
    session.commit()


def _add_branch(session: psycopg.Connection, branch_id: int) -> None:
    session.execute(
        """
        INSERT INTO branch (code, name, time_zone, language, calendar_id, policy_id, default_priority,
            assignment_strategy, from_name, signature_html, reopen_window_days, is_active)
        VALUES (%s, %s, 'UTC', 'en', 1, 1, 'normal', 'manual', '', '', 14, true)
        """,
        [f"B{branch_id}", f"Branch {branch_id}"],
    )
    for level in (1, 2):
        session.execute(
            """
            INSERT INTO escalation_tier (branch_id, level, name, acknowledge_within_minutes, on_unacknowledged,
                escalate_at_percent)
            VALUES (%s, %s, %s, 20, 'branch_lead', 0)
            """,
            [branch_id, level, f"Tier {level}"],
        )
    session.execute(
        """
        INSERT INTO channel_account (kind, name, address, branch_id, is_active, imap_host, imap_port, imap_security,
            imap_username, imap_folder, imap_post_action, imap_move_folder, last_uid, last_error, smtp_host,
            smtp_port, smtp_security, smtp_username)
        VALUES ('email', %s, %s, %s, true, '', 993, 'tls', '', 'INBOX', 'seen', '', 0, '', '', 25, 'none', '')
        """,
        [f"Support {branch_id}", f"support{branch_id}@bench.test", branch_id],
    )


def _add_person(session: psycopg.Connection, user_id: int, username: str, hashed: str, role_id: int) -> None:
    session.execute(
        """
        INSERT INTO ab_user (id, first_name, last_name, username, password, active, email, login_count,
            fail_login_count)
        VALUES (%s, 'Bench', %s, %s, %s, true, %s, 0, 0)
        """,
        [user_id, username.title(), username, hashed, f"{username}@bench.test"],
    )
    session.execute("INSERT INTO ab_user_role (user_id, role_id) VALUES (%s, %s)", [user_id, role_id])
    session.execute(
        """
        INSERT INTO agent (user_id, time_zone, language, theme, signature_html, availability, capacity)
        VALUES (%s, 'UTC', 'en', 'light', '', 'available', 20)
        """,
        [user_id],
    )


def _advance_sequences(session: psycopg.Connection) -> None:
    """Ids were given; the next ones must follow them."""
    found = session.execute(
        """
        SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name)
        FROM information_schema.columns
        WHERE table_schema = 'public' AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL
        """
    ).fetchall()
    for table, column, sequence in found:
        session.execute(
            sql.SQL("SELECT setval({}, greatest((SELECT max({}) FROM {}), 1))").format(
                sql.Literal(sequence), sql.Identifier(column), sql.Identifier(table)
            )
        )
    session.execute("SELECT setval('ab_user_id_seq', (SELECT max(id) FROM ab_user))")
    session.execute("SELECT setval('ticket_number_seq', (SELECT max(number) FROM ticket))")
    session.commit()
