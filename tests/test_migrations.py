"""Migrations keep what is there: run on a database with rows in it, of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url, text

from config import Settings
from portal.extensions import db

ROOT = Path(__file__).resolve().parents[1]
WEEK = json.dumps([{"weekday": 0, "start": "09:00", "end": "17:00"}])
DAYS = json.dumps(["2026-12-25"])


@pytest.fixture
def empty(app: Flask) -> Iterator[str]:
    """The address of an empty database on the tests' server."""
    with (
        app.app_context(),
        db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        connection.execute(text("DROP DATABASE IF EXISTS migrating"))
        connection.execute(text("CREATE DATABASE migrating"))
        yield db.engine.url.set(database="migrating").render_as_string(hide_password=False)
        connection.execute(text("DROP DATABASE migrating WITH (FORCE)"))


def migrate(address: str, settings: Settings, direction: str, revision: str) -> None:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", direction, revision]
    environment = {
        **os.environ,
        "DATABASE_URL": address,
        "VAR_DIR": str(settings.var_dir),
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_hours_are_the_same_after_calendars_have_versions(empty: str, settings: Settings) -> None:
    """One calendar that two zones shared becomes two; tickets and what the ledger says of them follow."""
    migrate(empty, settings, "upgrade", "2026_12_17_routing")
    plain = make_url(empty).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        for name, zone in (("Shared", "UTC"), ("Alone", "Asia/Tokyo"), ("Shared (Europe/Berlin)", "UTC")):
            connection.execute(
                "INSERT INTO calendar (name, time_zone, windows, holidays) VALUES (%s, %s, %s, %s)",
                [name, zone, WEEK, DAYS],
            )
        for code, zone in (
            ("a", "Europe/London"),
            ("b", "Europe/Berlin"),
            ("c", "Europe/London"),
            ("d", "Europe/Berlin"),
        ):
            insert(
                connection,
                "branch",
                code=code,
                time_zone=zone,
                calendar_id=1,
                default_priority="normal",
                assignment_strategy="manual",
            )
        insert(connection, "customer", name="Zoë")
        _tickets(connection)
    migrate(empty, settings, "upgrade", "head")
    with psycopg.connect(plain, autocommit=True) as connection:
        branches = dict(
            connection.execute(
                "SELECT branch.code, v.time_zone FROM branch JOIN calendar_version v USING (calendar_id)"
            ).fetchall()
        )
        assert branches == {
            "a": "Europe/London",
            "b": "Europe/Berlin",
            "c": "Europe/London",
            "d": "Europe/Berlin",
        }
        said = connection.execute(
            "SELECT c.name, v.time_zone, v.windows, v.days, v.valid_from::text, v.recorded_at = c.created_at "
            "FROM calendar c JOIN calendar_version v ON v.calendar_id = c.id ORDER BY c.id"
        ).fetchall()
        names = [each[0] for each in said]
        assert names[:3] == ["Shared", "Alone", "Shared (Europe/Berlin)"]
        assert len(set(names)) == 4
        assert names[3].startswith("Shared (Europe/Berlin) ")
        assert [each[1] for each in said] == ["Europe/London", "Asia/Tokyo", "UTC", "Europe/Berlin"]
        assert all(each[2] == json.loads(WEEK) for each in said)
        assert {(each[3][0], each[4], each[5]) for each in said} == {("2026-12-25", "1970-01-01", True)}
        of_tickets = connection.execute(
            "SELECT count(*) FROM ticket JOIN branch ON branch.id = branch_id "
            "WHERE ticket.calendar_id IS DISTINCT FROM branch.calendar_id"
        ).fetchone()
        assert of_tickets == (0,)
        told = connection.execute(
            "SELECT (data->>'calendar_id')::int = ticket.calendar_id FROM event JOIN ticket ON ticket.id = ticket_id"
        ).fetchall()
        assert told == [(True,), (True,)]
        waiting = connection.execute(
            "SELECT count(*) FROM calendar_version WHERE counted_at IS NULL"
        ).fetchone()
        assert waiting == (0,)
    migrate(empty, settings, "downgrade", "2026_12_17_routing")
    with psycopg.connect(plain, autocommit=True) as connection:
        back = connection.execute("SELECT time_zone, windows, holidays FROM calendar ORDER BY id").fetchall()
        assert [each[0] for each in back] == ["Europe/London", "Asia/Tokyo", "UTC", "Europe/Berlin"]
        assert back[0][1:] == (json.loads(WEEK), json.loads(DAYS))


def insert(connection: psycopg.Connection, table: str, **values: object) -> None:
    """A row with nothing in the columns that it needs besides."""
    needed = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s "
        "AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'",
        [table],
    ).fetchall()
    row = {name: _nothing(kind) for name, kind in needed} | values
    places = ", ".join(["%s"] * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", list(row.values()))


def _nothing(kind: str) -> object:
    if kind in ("integer", "bigint", "smallint"):
        return 0
    if kind == "boolean":
        return False
    return "{}" if kind in ("jsonb", "ARRAY") else "2026-11-24" if kind.startswith("timestamp") else ""


def _tickets(connection: psycopg.Connection) -> None:
    """A ticket in each branch, one without a calendar of its own, and a change of policy in two of them."""
    usual = {
        "status": "new",
        "priority": "normal",
        "type": "question",
        "severity": "none",
        "channel_kind": "email",
    }
    for number, branch_id in enumerate((1, 2, 3, 4)):
        calendar_id = None if number == 2 else 1
        insert(connection, "ticket", **usual, branch_id=branch_id, customer_id=1, calendar_id=calendar_id)
    told = json.dumps({"calendar_id": 1, "from_calendar_id": 1})
    for ticket_id in (1, 2):
        insert(
            connection,
            "event",
            kind="policy_applied",
            ticket_id=ticket_id,
            branch_id=ticket_id,
            actor_kind="system",
            data=told,
        )
