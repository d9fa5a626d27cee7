"""The made-up year: the same every time, and at home in the tables as they are today."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from bench import world
from bench.installation import running
from bench.world import World
from config import ROOT

MADE = World(400, 1_790_000_000 // 86_400 * 86_400)


def test_a_world_is_the_same_every_time() -> None:
    first = [rows.lines for rows in world.tickets(MADE, portion=100)]
    again = [rows.lines for rows in world.tickets(MADE, portion=100)]
    assert first == again


def test_portions_do_not_change_what_is_made() -> None:
    whole = next(world.tickets(MADE, portion=400)).lines
    parts = [rows.lines for rows in world.tickets(MADE, portion=150)]
    for table, lines in whole.items():
        assert lines == [line for part in parts for line in part[table]], table


def test_every_line_fills_every_column_of_its_table() -> None:
    for table, lines in next(world.tickets(MADE, portion=400)).lines.items():
        for line in lines:
            assert line.count("\t") + 1 == len(world.COLUMNS[table].split()), (table, line)


def test_it_loads_with_every_index_and_agrees_with_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    # In a process of its own: loading makes an application, and this process has the one of the other tests.
    subprocess.run(
        [sys.executable, "-m", "bench", "load"],
        cwd=ROOT,
        env={**os.environ, "BENCH_TICKETS": "400"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with running(400) as installation, psycopg.connect(installation.dsn) as session:

        def count(question: str) -> int:
            found = session.execute(question).fetchone()
            assert found is not None
            return int(found[0])

        assert count("SELECT count(*) FROM ticket") == 400
        assert count("SELECT count(*) FROM message") == 397 * 3 + 10 + 50 + 500
        assert count("SELECT count(*) FROM ticket WHERE subject ILIKE '%quillwort%'") == world.RARE_COUNT
        assert count("SELECT count(*) FROM pg_indexes WHERE indexname = 'ix_ticket_subject_slices'") == 1
        assert count("SELECT count(*) FROM event_default") == 0
        # What was loaded without checking foreign keys keeps them all the same.
        orphans = """
            SELECT count(*) FROM {0} AS one LEFT JOIN {1} AS other ON other.id = one.{2}
            WHERE one.{2} IS NOT NULL AND other.id IS NULL
        """
        for table, other, column in (
            ("message", "ticket", "ticket_id"),
            ("message", "inbox_item", "inbox_item_id"),
            ("message", "reply_template", "template_id"),
            ("event", "ticket", "ticket_id"),
            ("event", "ab_user", "actor_id"),
            ("clock", "ticket", "ticket_id"),
            ("ticket", "customer", "customer_id"),
            ("ticket", "ab_user", "assignee_id"),
        ):
            assert count(orphans.format(table, other, column)) == 0, (table, column)
        # New rows follow those that were given their ids.
        assert count("SELECT nextval('ticket_number_seq')") == world.FIRST_NUMBER + 400
